"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import override
from flambeau_cpu.rows import sum_along

kernels = KernelTable()
_maximum: Any = np.maximum.reduce


def _shifted(x: Any, dim: int) -> Any:
    """A new array: the input less its greatest value along a dimension; None if declined."""
    if not x.ndim or x.dtype not in (np.float32, np.float64) or not x.size:
        return None
    return np.subtract(x, _maximum(x, dim, None, None, True))


def _softmax(x: Any, dim: int) -> Any:
    e = _shifted(x, dim)
    if e is None:
        return NotImplemented
    np.exp(e, e)
    return np.divide(e, sum_along(e, dim), e)


def _log_softmax(x: Any, dim: int) -> Any:
    e = _shifted(x, dim)
    if e is None:
        return NotImplemented
    return np.subtract(e, np.log(sum_along(np.exp(e), dim)), e)


def _softmax_backward(grad: Any, output: Any, dim: int) -> Any:
    if not output.ndim or grad.dtype != output.dtype or output.dtype.itemsize == 2:
        return NotImplemented
    share = np.multiply(grad, output)
    return np.subtract(share, output * sum_along(share, dim), share)


def _log_softmax_backward(grad: Any, output: Any, dim: int) -> Any:
    if not output.ndim or grad.dtype != output.dtype or output.dtype.itemsize == 2:
        return NotImplemented
    result = np.exp(output)
    np.multiply(result, sum_along(grad, dim), result)
    return np.subtract(grad, result, result)


override(kernels, {
    "softmax_along": _softmax, "log_softmax_along": _log_softmax,
    "softmax_backward": _softmax_backward, "log_softmax_backward": _log_softmax_backward,
})
