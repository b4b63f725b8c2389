"""Norms and the logarithm of summed exponentials."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.axes import axes_of
from flambeau_cpu.elementwise import floats, is_real, override

kernels = KernelTable()
_add: Any = np.add.reduce
_maximum: Any = np.maximum.reduce


def _logsumexp(x: Any, dim: Any, keepdim: bool) -> Any:
    x = floats(x)
    if not x.size or not is_real(x) or x.dtype.itemsize == 2:
        return NotImplemented
    axes = axes_of(x, dim)
    greatest = _maximum(x, axes, None, None, True)
    greatest = np.where(np.isinf(greatest), 0, greatest)
    total = np.log(_add(np.exp(x - greatest), axes, None, None, keepdim))
    return np.add(total, greatest if keepdim else greatest.reshape(total.shape))


def _vector_norm(x: Any, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    """The Euclidean norm of single and double precision."""
    if ord != 2 or dtype is not None or x.dtype not in (np.float32, np.float64):
        return NotImplemented
    axes = axes_of(x, dim)
    if axes is None and not keepdim:
        flat = x.reshape(-1)
        return np.sqrt(np.dot(flat, flat))
    return np.sqrt(_add(np.multiply(x, x), axes, None, None, keepdim))


override(kernels, {"logsumexp": _logsumexp, "vector_norm": _vector_norm})
