"""Sorting by radix, stable."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library

kernels = NativeTable()
library = Library("sort", dict.fromkeys(("fb_sort", "fb_first", "fb_kth"), "Iaaaiiiii"))
TYPES: Final = {name: i for i, name in enumerate((  # of sort.c
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"))}
TYPES["bool"] = TYPES["uint8"]
_INT64: Final = np.dtype(np.int64)


def in_rows(function: str, x: Any, dim: int, kept: int, argument: int, mode: int) -> Any:
    """Values and places along a dimension, which the library finds in contiguous rows.

    Args:
        kept: how many there are of them.
        argument, mode: passed on, ``argument`` after the length of the rows.
    """
    kind = TYPES.get(x.dtype.name, -1)
    if kind < 0 or not x.ndim or not x.size or not -x.ndim <= dim < x.ndim or not kept or (
            (c := library()) is None):
        return NotImplemented
    rows = np.ascontiguousarray(np.moveaxis(x, dim, -1))
    n = rows.shape[-1]
    shape = (*rows.shape[:-1], kept)
    values, places = empty(shape, x.dtype), empty(shape, _INT64)
    if not getattr(c, function)(values, places, rows, x.size // n, n, argument, kind, mode):
        return NotImplemented
    if dim % x.ndim == x.ndim - 1:
        return values, places
    return tuple(np.ascontiguousarray(np.moveaxis(t, -1, dim)) for t in (values, places))


@kernels.fresh_form("sort_stable", at=64)
def sort_stable(x: Any, dim: int, descending: bool) -> Any:
    """Values in order, and where they were; NaN counts as greatest."""
    if not x.ndim or not -x.ndim <= dim < x.ndim:
        return NotImplemented
    n = x.shape[dim]
    return in_rows("fb_sort", x, dim, n, n, descending)
