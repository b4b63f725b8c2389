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
_c = Library("reduce", {"fb_reduce": "Iaaiidi"})

_FLOAT, _HALF = ("float32", "float64"), ("float16", "bfloat16")
_INTEGER = ("int64", "int32", "int16", "int8", "uint8")
_COUNTED = ("bool", "int16", "float16", "int32", "int64", "float32", "float64")
_ROWS: Final = [  # in the order of the table in reduce.c
    *((op, name) for op, names in (
        ("sum", (*_FLOAT, *_HALF, *_INTEGER)), ("prod", (*_FLOAT, "int64")),
        ("amax", (*_FLOAT, *_HALF, *_INTEGER)), ("amin", (*_FLOAT, *_HALF, *_INTEGER)),
        ("norm1", _FLOAT), ("norm2", (*_FLOAT, *_HALF)), ("peak", _FLOAT),
        ("count", _COUNTED), ("any", _COUNTED), ("all", _COUNTED)) for name in names),
]
_PLACES: Final = {row: i for i, row in enumerate(_ROWS)}
for _op in ("amax", "amin", "sum"):
    _PLACES[_op, "bool"] = _PLACES[_op, "uint8"]
for _op in ("count", "any", "all"):
    _PLACES[_op, "uint8"] = _PLACES[_op, "int8"] = _PLACES[_op, "bool"]
    _PLACES[_op, "bfloat16"] = _PLACES[_op, "float16"]
_WHICH: Final[dict[tuple[str, Any], int]] = {}  # by op and dtype
_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)


def _which(op: str, what: Any) -> int:
    """The row of the table for an op and a dtype, -1 if there is none."""
    found = _WHICH.get((op, what))
    if found is None:
        found = _WHICH[op, what] = _PLACES.get((op, what.name), -1)
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
    which = _which(op, x.dtype)
    if which < 0 or not x.ndim or (c := _c()) is None:  # NumPy's scalars have no dimensions
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
