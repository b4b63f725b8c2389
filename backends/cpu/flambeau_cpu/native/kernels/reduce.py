"""Reductions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.axes import axes_of, count
from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import REDUCTION, NativeTable
from flambeau_cpu.native.library import Library

kernels = NativeTable()
_LARGE: Final = 8192
_floats, _others = (Library(name, {"fb_reduce": "Iaaiidi"}) for name in ("reduce", "counts"))

_FLOAT, _HALF = ("float32", "float64"), ("float16", "bfloat16")
_INTEGER = ("int64", "int32", "int16", "int8", "uint8")
_COUNTED = ("bool", "int16", "float16", "int32", "int64", "float32", "float64")
_TABLES: Final = {  # in the order of those in reduce.c and counts.c
    _floats: (
        ("sum", (*_FLOAT, *_HALF)), ("prod", _FLOAT), ("amax", (*_FLOAT, *_HALF)),
        ("amin", (*_FLOAT, *_HALF)), ("norm1", _FLOAT), ("norm2", (*_FLOAT, *_HALF)),
        ("peak", _FLOAT)),
    _others: (
        ("sum", _INTEGER), ("prod", ("int64",)), ("amax", _INTEGER), ("amin", _INTEGER),
        ("count", _COUNTED), ("any", _COUNTED), ("all", _COUNTED)),
}
_PLACES: Final = {
    row: (library, place) for library, table in _TABLES.items()
    for place, row in enumerate((op, name) for op, names in table for name in names)}
for _op in ("amax", "amin", "sum"):
    _PLACES[_op, "bool"] = _PLACES[_op, "uint8"]
for _op in ("count", "any", "all"):
    _PLACES[_op, "uint8"] = _PLACES[_op, "int8"] = _PLACES[_op, "bool"]
    _PLACES[_op, "bfloat16"] = _PLACES[_op, "float16"]
_WHICH: Final[dict[tuple[str, Any], tuple[Any, int]]] = {}  # by op and dtype
_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)


def _which(op: str, what: Any) -> tuple[Any, int]:
    """The library for an op and a dtype, and the row of its table; None if there is none."""
    found = _WHICH.get((op, what))
    if found is None:
        library, place = _PLACES.get((op, what.name), (None, -1))
        found = _WHICH[op, what] = None if library is None else library(), place
    return found


def plan(x: Any, dim: Any, keepdim: bool) -> tuple[int, tuple[int, ...]]:
    """The reduced dimensions as bits, and the shape of the result.

    Raises:
        IndexError: for a dimension that the array does not have.
        RuntimeError: for one given twice.
    """
    axes = axes_of(x, dim)
    ndim = x.ndim
    if axes is None:
        return -1, (1,) * ndim if keepdim else ()
    mask = 0
    for axis in axes if axes.__class__ is tuple else (axes,):
        mask |= 1 << axis % ndim
    if keepdim:
        return mask, tuple([1 if mask >> d & 1 else n for d, n in enumerate(x.shape)])
    return mask, tuple([n for d, n in enumerate(x.shape) if not mask >> d & 1])


def reduce(
    op: str, x: Any, dim: Any, keepdim: bool, what: Any, divisor: float = 0.0, root: bool = False
) -> Any:
    """A reduction by the library, or NotImplemented.

    Args:
        what: the dtype of the result.
        divisor: of the result, if not 0.
        root: whether the square root is taken at last.
    """
    c, which = _which(op, x.dtype)
    if c is None or not x.ndim:  # NumPy's scalars have no dimensions
        return NotImplemented
    if dim is None and not keepdim:
        mask, out = -1, np.empty((), what)
    else:
        mask, shape = plan(x, dim, keepdim)
        out = empty(shape, what)
    if c.fb_reduce(x, out, mask, which, divisor, root):
        return out
    return NotImplemented


@kernels.fresh_form("sum", at=_LARGE, inputs=REDUCTION)
def sum(x: Any, dim: Any, keepdim: bool) -> Any:
    """Pairwise sum; of integers as int64, of half precision in single."""
    return reduce("sum", x, dim, keepdim, _INT64 if x.dtype.kind in "biu" else x.dtype)


@kernels.fresh_form("mean", at=_LARGE)
def mean(x: Any, dim: Any, keepdim: bool, dtype: Any = None) -> Any:
    """Pairwise sum over the number of elements."""
    if dtype is not None or x.dtype.kind not in "fV":
        return NotImplemented
    return reduce("sum", x, dim, keepdim, x.dtype, count(x, axes_of(x, dim)))


@kernels.fresh_form("prod", at=_LARGE)
def prod(x: Any, dim: Any, keepdim: bool) -> Any:
    """Product."""
    return reduce("prod", x, dim, keepdim, x.dtype)


@kernels.fresh_form("amax", at=_LARGE)
def amax(x: Any, dim: Any, keepdim: bool) -> Any:
    """Greatest value; NaN wins."""
    return reduce("amax", x, dim, keepdim, x.dtype)


@kernels.fresh_form("amin", at=_LARGE)
def amin(x: Any, dim: Any, keepdim: bool) -> Any:
    """Smallest value; NaN wins."""
    return reduce("amin", x, dim, keepdim, x.dtype)


def _truth(op: str, x: Any, dim: Any, keepdim: bool) -> Any:
    if isinstance(dim, (tuple, list)) and not dim:
        return NotImplemented
    return reduce(op, x, dim, keepdim, x.dtype if x.dtype == np.uint8 else _BOOL)


@kernels.fresh_form("any", at=_LARGE)
def any(x: Any, dim: Any, keepdim: bool) -> Any:
    """Whether an element is not zero."""
    return _truth("any", x, dim, keepdim)


@kernels.fresh_form("all", at=_LARGE)
def all(x: Any, dim: Any, keepdim: bool) -> Any:
    """Whether no element is zero."""
    return _truth("all", x, dim, keepdim)


@kernels.fresh_form("count_nonzero", at=_LARGE)
def count_nonzero(x: Any, dim: Any) -> Any:
    """How many elements are not zero."""
    return reduce("count", x, dim, False, _INT64)


@kernels.fresh_form("vector_norm", at=_LARGE)
def vector_norm(x: Any, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    """The norms of orders 1, 2 and infinity."""
    op = _NORMS.get(ord) if isinstance(ord, (int, float)) else None
    if op is None or dtype is not None or not x.size:
        return NotImplemented
    return reduce(op, x, dim, keepdim, x.dtype, root=op == "norm2")


_NORMS: Final[dict[float, str]] = {1: "norm1", 2: "norm2", float("inf"): "peak"}
