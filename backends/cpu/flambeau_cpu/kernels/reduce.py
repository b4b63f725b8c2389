"""Reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.axes import axes_of, count
from flambeau_cpu.elementwise import override

kernels = KernelTable()
_add: Any = np.add.reduce
_multiply: Any = np.multiply.reduce
_maximum: Any = np.maximum.reduce
_minimum: Any = np.minimum.reduce


# A dot product with ones costs a third of a reduction's overhead; it pays for small tensors.
_SMALL = 128
_ones = {d: [np.ones(n, d) for n in range(_SMALL + 1)] for d in map(np.dtype, ("f4", "f8"))}


def _sum_fresh(x: Any, dim: Any, keepdim: bool) -> Any:
    if dim is None and not keepdim and x.size <= _SMALL:
        ones = _ones.get(x.dtype)
        if ones is not None:
            return x.ravel().dot(ones[x.size])
    if x.dtype.kind in "biu":
        return _add(x, dim, np.int64, None, keepdim)
    if x.dtype.itemsize == 2:  # accumulate half precision in single, as PyTorch does
        return np.asarray(_add(x, dim, np.float32, None, keepdim)).astype(x.dtype)
    return _add(x, dim, None, None, keepdim)


@kernels.register("sum", fresh=_sum_fresh)
def sum(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Pairwise sum."""
    out[...] = _add(x, dim, np.float32 if out.dtype.itemsize == 2 else out.dtype, None, keepdim)


@kernels.register("prod")
def prod(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Product."""
    out[...] = _multiply(x, dim, out.dtype, None, keepdim)


@kernels.register("amax", fresh=lambda x, dim, keepdim: _maximum(x, dim, None, None, keepdim))
def amax(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Greatest value."""
    out[...] = _maximum(x, dim, None, None, keepdim)


@kernels.register("amin", fresh=lambda x, dim, keepdim: _minimum(x, dim, None, None, keepdim))
def amin(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Smallest value."""
    out[...] = _minimum(x, dim, None, None, keepdim)


@kernels.register("argmax", fresh=lambda x, dim, keepdim: np.argmax(x, dim, keepdims=keepdim))
def argmax(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Index of the first greatest value, or of the first NaN."""
    out[...] = np.argmax(x, axis=dim, keepdims=keepdim)


@kernels.register("argmin", fresh=lambda x, dim, keepdim: np.argmin(x, dim, keepdims=keepdim))
def argmin(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Index of the first smallest value, or of the first NaN."""
    out[...] = np.argmin(x, axis=dim, keepdims=keepdim)


def _mean(x: Any, dim: Any, keepdim: bool, dtype: Any = None) -> Any:
    if dtype is not None or x.dtype.kind in "biu":
        return NotImplemented
    axes = axes_of(x, dim)
    n = count(x, axes)
    if x.dtype.itemsize == 2:  # round once
        return np.asarray(_add(x, axes, np.float32, None, keepdim) / n).astype(x.dtype)
    return np.true_divide(_sum_fresh(x, axes, keepdim), n)


def _truth(ufunc: Any) -> Any:
    def reduce(x: Any, dim: Any, keepdim: bool) -> Any:
        if isinstance(dim, (tuple, list)) and not dim:
            return NotImplemented
        holds = ufunc.reduce(x, axes_of(x, dim), np.bool_, None, keepdim)
        return holds.astype(np.uint8) if x.dtype == np.uint8 else holds

    return reduce


override(kernels, {"mean": _mean, "all": _truth(np.logical_and), "any": _truth(np.logical_or)})
