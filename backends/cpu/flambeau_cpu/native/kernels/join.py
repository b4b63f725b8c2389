"""Joining arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable, threshold
from flambeau_cpu.native.copy import copied
from flambeau_cpu.native.pointwise import LIGHT

kernels = NativeTable()


@kernels.around("cat")
def around_cat(plain: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's kernel for what is small in total."""
    at = threshold(LIGHT)

    def cat(tensors: list[Any], dim: int = 0) -> Any:
        first = tensors[0]
        if first.size * len(tensors) >= at:
            joined = _cat(tensors, dim)
            if joined is not NotImplemented:
                return joined
        return plain(tensors, dim)

    return cat


def _cat(tensors: list[Any], dim: int) -> Any:
    """Row-major arrays of one dtype, the shapes differing along ``dim``."""
    first = tensors[0]
    ndim, what = first.ndim, first.dtype
    if not -ndim <= dim < ndim or any(
            x.__class__ is not np.ndarray or x.dtype != what or x.ndim != ndim for x in tensors):
        return NotImplemented
    dim %= ndim
    shape = first.shape
    others = shape[:dim] + shape[dim + 1 :]
    if any(x.shape[:dim] + x.shape[dim + 1 :] != others for x in tensors):
        return NotImplemented
    total = sum([x.shape[dim] for x in tensors])
    out = empty((*shape[:dim], total, *shape[dim + 1 :]), what)
    lead = (slice(None),) * dim
    start = 0
    for x in tensors:
        stop = start + x.shape[dim]
        if not copied(out[(*lead, slice(start, stop))], x):
            return NotImplemented
        start = stop
    return out
