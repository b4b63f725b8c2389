"""Where the greatest and the smallest values are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.reduce import plan
from flambeau_cpu.native.library import Library

kernels = NativeTable()
_LARGE: Final = 4096
_c = Library("extremes", {"fb_places": "Iaaaii"})
_DTYPES: Final = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8")
_ROWS: Final = {name: i for i, name in enumerate(_DTYPES)}  # of the table in extremes.c
_INT64: Final = np.dtype(np.int64)


def _places(x: Any, dim: Any, keepdim: bool, least: bool, wants_values: bool) -> Any:
    """Indices, or values and indices, by the library."""
    which = _ROWS.get(x.dtype.name, -1)
    if which < 0 or not x.ndim or not x.size or (c := _c()) is None:
        return NotImplemented
    if dim is None:  # the index counts in row-major order
        x = np.ascontiguousarray(x)
    mask, shape = plan(x, dim, keepdim)
    indices = empty(shape, _INT64)
    values = empty(shape, x.dtype) if wants_values else None
    if not c.fb_places(x, indices, values, mask, which + least * len(_ROWS)):
        return NotImplemented
    return (values, indices) if wants_values else indices


@kernels.fresh_form("argmax", at=_LARGE)
def argmax(x: Any, dim: Any, keepdim: bool) -> Any:
    """Index of the first greatest value, or of the first NaN."""
    return _places(x, dim, keepdim, False, False)


@kernels.fresh_form("argmin", at=_LARGE)
def argmin(x: Any, dim: Any, keepdim: bool) -> Any:
    """Index of the first smallest value, or of the first NaN."""
    return _places(x, dim, keepdim, True, False)


@kernels.fresh_form("max_along", at=_LARGE)
def max_along(x: Any, dim: int, keepdim: bool) -> Any:
    """Greatest values along a dimension, and where they are first."""
    return _places(x, dim, keepdim, False, True)


@kernels.fresh_form("min_along", at=_LARGE)
def min_along(x: Any, dim: int, keepdim: bool) -> Any:
    """Smallest values along a dimension, and where they are first."""
    return _places(x, dim, keepdim, True, True)
