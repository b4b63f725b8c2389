"""Scatter with a reduction.  What does not fit is declined: the decomposition has the words."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.index import check_bounds, linear
from flambeau_cpu.kernels.index_dim import on_a_copy

kernels = KernelTable()
_COMBINE: Final = {
    "sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def scatter_reduce(
    out: Any, x: Any, index: Any, src: Any, dim: int, reduce: str, include_self: bool
) -> Any:
    """Combine the values that an index sends to one place."""
    if reduce not in _COMBINE or not x.ndim or src.dtype != x.dtype or (
            index.ndim != x.ndim or src.ndim != x.ndim or not out.flags.c_contiguous):
        return NotImplemented
    if index.dtype != np.int64 or not -x.ndim <= dim < x.ndim or not index.size:
        return NotImplemented
    dim %= x.ndim
    if any(n > m or (d != dim and n > k) for d, (n, m, k) in enumerate(
            zip(index.shape, src.shape, x.shape, strict=True))):
        return NotImplemented
    check_bounds(index, x.shape[dim], dim)
    if out is not x:
        np.copyto(out, x)
    places = linear(index, x.shape, dim).reshape(-1)
    values = src[tuple(slice(n) for n in index.shape)].reshape(-1)
    flat = out.reshape(-1)
    if not include_self:
        flat[places] = _identity(reduce, x.dtype)
    _COMBINE[reduce].at(flat, places, values)
    if reduce == "mean":
        _divide(flat, places, include_self)
    return None


def _identity(reduce: str, what: Any) -> Any:
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if what.kind in "iu":
        limits = np.iinfo(what)
        return limits.min if reduce == "amax" else limits.max
    if what.kind == "b":
        return reduce == "amin"
    return -np.inf if reduce == "amax" else np.inf


def _divide(flat: Any, places: Any, include_self: bool) -> None:
    counts = np.bincount(places, minlength=flat.size) + int(include_self)
    touched = counts > 1
    if flat.dtype.kind in "iu":
        flat[touched] //= counts[touched].astype(flat.dtype)
    else:
        flat[touched] = flat[touched] / counts[touched].astype(flat.real.dtype)


kernels.register("scatter_reduce", fresh=on_a_copy(scatter_reduce))(scatter_reduce)
