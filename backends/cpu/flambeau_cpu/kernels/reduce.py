"""Reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
_add, _maximum, _minimum = np.add.reduce, np.maximum.reduce, np.minimum.reduce


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
    out[...] = np.multiply.reduce(x, dim, out.dtype, None, keepdim)


@kernels.register("amax", fresh=lambda x, dim, keepdim: _maximum(x, dim, None, None, keepdim))
def amax(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Greatest value."""
    out[...] = _maximum(x, dim, None, None, keepdim)


@kernels.register("amin", fresh=lambda x, dim, keepdim: _minimum(x, dim, None, None, keepdim))
def amin(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Smallest value."""
    out[...] = _minimum(x, dim, None, None, keepdim)


@kernels.register("argmax")
def argmax(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Index of the first greatest value, or of the first NaN."""
    out[...] = np.argmax(x, axis=dim, keepdims=keepdim)


@kernels.register("argmin")
def argmin(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Index of the first smallest value, or of the first NaN."""
    out[...] = np.argmin(x, axis=dim, keepdims=keepdim)
