"""Whole slices at the indices of one dimension."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.index import ADDED, LARGE, around, integers, library, row_major

kernels = NativeTable()
_NARROW: Final = 8  # elements of a row, below which they are added one by one


def take(x: Any, index: Any, dim: int) -> Any:
    """Slices at the indices 0..size-1 of one dimension; declined if one is outside.

    Returns:
        of shape (*before, *index.shape, *after).
    """
    if not row_major(x) or not x.size or not index.size or (c := library()) is None:
        return NotImplemented
    outer, inner = around(x.shape, dim)
    out = empty((*x.shape[:dim], *index.shape, *x.shape[dim + 1 :]), x.dtype)
    done = c.fb_take(
        out, x, integers(index), outer, index.size, x.shape[dim], inner * x.itemsize)
    return out if done else NotImplemented


@kernels.fresh_form("index_select", at=LARGE)
def index_select(x: Any, index: Any, dim: int) -> Any:
    """Slices at a vector of indices."""
    if index.ndim != 1 or index.dtype.char not in "lqi" or not -x.ndim <= dim < x.ndim:
        return NotImplemented
    return take(x, index, dim % x.ndim)


def add_rows(out: Any, index: Any, rows: Any, fresh: bool = False, skipped: int = -1) -> bool:
    """``out[index[i]] += rows[i]`` in the order of the index; False if it cannot be done.

    Args:
        fresh: whether ``out`` is uninitialised and counts as zeros.
        skipped: a row that nothing is added to.
    """
    kind, width = ADDED.get(out.dtype), out[0].size if len(out) else 0
    if kind is None or rows.dtype != out.dtype or not row_major(out, rows) or not width or (
            (c := library()) is None):
        return False
    index = integers(index)
    if width < _NARROW and not fresh and width == 1:
        return bool(c.fb_scatter(out, rows, index, 1, index.size, len(out), 1, 2 + kind, False))
    return bool(c.fb_add_rows(
        out, rows, index, index.size, len(out), width, kind, fresh, skipped))


@kernels.out_form("index_add", at=LARGE)
def index_add(out: Any, x: Any, index: Any, source: Any, dim: int, alpha: Any) -> Any:
    """Slices added to those at the indices of a copy."""
    if not x.ndim or index.ndim != 1 or index.dtype.char not in "lqi" or dim % x.ndim or (
            alpha != 1 or source.shape != (index.size, *x.shape[1:]) or not source.size):
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    return None if add_rows(out, index, source) else NotImplemented


@kernels.fresh_form("index_add", at=LARGE)
def index_add_fresh(x: Any, index: Any, source: Any, dim: int, alpha: Any) -> Any:
    """The same, with a copy of its own."""
    if not row_major(x):
        return NotImplemented
    out = empty(x.shape, x.dtype)
    declined = index_add(out, x, index, source, dim, alpha) is NotImplemented
    return NotImplemented if declined else out
