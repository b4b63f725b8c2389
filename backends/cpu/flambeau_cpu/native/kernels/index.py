"""Gather and scatter along one dimension; what a mask chooses."""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library

kernels = NativeTable()
LARGE: Final = 4096
library = Library("index", {
    "fb_take": "Iaaaiiii", "fb_add_rows": "Iaaaiiiiii", "fb_gather": "Iaaaiiiii",
    "fb_scatter": "Iaaaiiiiii", "fb_count": "Iaaii", "fb_select": "aaaaiii", "fb_where": "aaaii",
    "fb_one_hot": "Iaaii",
})
ADDED: Final = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, np.dtype(np.int64): 2}
_TASK: Final = 1 << 16  # elements of a mask that a task looks at
_INT64: Final = np.dtype(np.int64)


def around(shape: tuple[int, ...], dim: int) -> tuple[int, int]:
    """The number of elements over the dimensions before one, and after it."""
    return prod(shape[:dim]), prod(shape[dim + 1 :])


def row_major(*arrays: Any) -> bool:
    """Whether all are row-major arrays of one dimension or more (NumPy's scalars have none)."""
    return all(x.ndim and x.flags.c_contiguous for x in arrays)


def integers(index: Any) -> Any:
    """An index as a row-major array of int64."""
    return np.ascontiguousarray(index, np.int64)


def _fits(x: Any, index: Any, dim: int) -> bool:
    """Whether an index has the shape of an array but for one dimension."""
    return index.ndim == x.ndim and index.dtype == _INT64 and all(
        n == m or d == dim for d, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)))


@kernels.fresh_form("gather", at=LARGE)
def gather(x: Any, index: Any, dim: int) -> Any:
    """Elements at an index along a dimension."""
    if x.itemsize not in (4, 8) or not _fits(x, index, dim) or not row_major(x, index) or (
            not index.size or (c := library()) is None):
        return NotImplemented
    outer, inner = around(x.shape, dim)
    out = empty(index.shape, x.dtype)
    done = c.fb_gather(
        out, x, index, outer, index.shape[dim], x.shape[dim], inner, x.itemsize)
    return out if done else NotImplemented


def _scatter(out: Any, x: Any, index: Any, src: Any, dim: int, kind: int) -> Any:
    is_number = not isinstance(src, np.ndarray)
    source = np.full(1, src, out.dtype) if is_number else src
    if not _fits(out, index, dim) or not row_major(out, index, source) or (
            not is_number and source.shape != index.shape) or (
            source.dtype != out.dtype or not index.size or (c := library()) is None):
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    outer, inner = around(out.shape, dim)
    done = c.fb_scatter(
        out, source, index, outer, index.shape[dim], out.shape[dim], inner, kind, is_number)
    return None if done else NotImplemented


@kernels.out_form("scatter_elements", at=LARGE)
def scatter_elements(out: Any, x: Any, index: Any, src: Any, dim: int) -> Any:
    """Write elements to an index along a dimension of a copy; the last one stays."""
    if out.itemsize not in (4, 8):
        return NotImplemented
    return _scatter(out, x, index, src, dim, int(out.itemsize == 8))


@kernels.out_form("scatter_add", at=LARGE)
def scatter_add(out: Any, x: Any, index: Any, src: Any, dim: int) -> Any:
    """Add elements at an index along a dimension of a copy, in the order of the index."""
    kind = ADDED.get(out.dtype)
    return NotImplemented if kind is None else _scatter(out, x, index, src, dim, 2 + kind)


# ---- masks -------------------------------------------------------------------------------------
def _counted(c: Any, mask: Any) -> tuple[Any, int, int]:
    """Where the parts of a mask begin among what it chooses, how many parts, how many chosen."""
    tasks = -(-mask.size // _TASK)
    counts = np.empty(tasks + 1, np.int64)
    return counts, tasks, c.fb_count(mask, counts, mask.size, tasks)


@kernels.fresh_form("masked_select", at=LARGE)
def masked_select(x: Any, mask: Any) -> Any:
    """The elements where the mask holds."""
    if mask.dtype.char != "?" or x.shape != mask.shape or x.itemsize > 8 or (
            not row_major(x, mask) or not x.size or (c := library()) is None):
        return NotImplemented
    counts, tasks, count = _counted(c, mask)
    out = empty((count,), x.dtype)
    c.fb_select(out, x, mask, counts, mask.size, tasks, x.itemsize)
    return out


@kernels.fresh_form("nonzero", at=LARGE)
def nonzero(x: Any, as_tuple: bool) -> Any:
    """Indices of the elements that are not zero."""
    if as_tuple or not x.ndim or not x.size or (c := library()) is None:
        return NotImplemented
    mask = np.ascontiguousarray(x if x.dtype.char == "?" else x != 0)
    counts, tasks, count = _counted(c, mask)
    out = empty((count, x.ndim), _INT64)
    c.fb_where(out, mask, counts, mask.size, tasks)
    return out
