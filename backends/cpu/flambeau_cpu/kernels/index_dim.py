"""Whole slices at the indices of one dimension.

What does not fit is declined, so that the decomposition finds the words.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
_NARROW: Final = 8  # up to so many elements per row, one by one is faster
_ROUNDS: Final = 8  # rows that repeat more often are summed one index at a time


def add_rows(target: Any, index: Any, rows: Any) -> None:
    """``target[index[i]] += rows[i]``, repeated indices added up; deterministic.

    NumPy's ``add.at`` handles rows element by element.  Here the k-th occurrences of all indices
    are added at once, round by round, so a round never names a row twice; what occurs very often
    is summed per index.
    """
    if index.size == 1:
        target[index] += rows
        return
    width = rows[0].size if index.size else 0
    if width <= _NARROW:
        if width == 1:
            np.add.at(target.reshape(-1), index, rows.reshape(-1))
        elif width:
            places = index[:, None] * width + np.arange(width)
            np.add.at(target.reshape(-1), places.reshape(-1), rows.reshape(-1))
        return
    order = np.argsort(index, kind="stable")
    sorted_index = index[order]
    first = np.empty(index.size, np.bool_)
    first[0] = True
    np.not_equal(sorted_index[1:], sorted_index[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    if starts.size == index.size:  # no index twice
        target[index] += rows
        return
    counts = np.diff(starts, append=index.size)
    total = rows[order[starts]]
    for k in range(1, _ROUNDS):
        live = np.flatnonzero(counts > k)
        if not live.size:
            break
        total[live] += rows[order[starts[live] + k]]
    for i in np.flatnonzero(counts > _ROUNDS):
        total[i] += rows[order[starts[i] + _ROUNDS : starts[i] + counts[i]]].sum(0)
    target[sorted_index[starts]] += total


def _outside(index: Any, size: int) -> bool:
    return bool(index.size) and (index.min() < 0 or index.max() >= size)


def _fits(x: Any, dim: int, index: Any, source: Any) -> bool:
    """Whether a source holds a slice of ``x`` per index, and all indices exist."""
    if x.ndim == 0 or index.ndim > 1 or index.dtype.kind != "i" or index.itemsize < 4 or (
            source.ndim != x.ndim or source.dtype != x.dtype or not -x.ndim <= dim < x.ndim):
        return False
    shape = list(x.shape)
    shape[dim] = index.size
    return source.shape == tuple(shape) and not _outside(index, x.shape[dim])


@kernels.register_fresh("index_select")
def index_select(x: Any, index: Any, dim: int) -> Any:
    """Slices at a vector of indices."""
    if x.ndim == 0 or index.ndim != 1 or index.dtype.kind != "i" or index.itemsize < 4 or (
            not -x.ndim <= dim < x.ndim or _outside(index, x.shape[dim])):
        return NotImplemented
    return x.take(index, dim)


def on_a_copy(kernel: Any) -> Any:
    """The fresh form of a kernel that writes to a copy of its first input."""

    def fresh(x: Any, *inputs: Any, **attributes: Any) -> Any:
        out = np.array(x, order="C")  # of a 0-d tensor x may be a NumPy scalar
        declined = kernel(out, out, *inputs, **attributes) is NotImplemented
        return NotImplemented if declined else out

    return fresh


def _index_add(out: Any, x: Any, index: Any, source: Any, dim: int, alpha: Any) -> Any:
    if not _fits(x, dim, index, source) or x.dtype == np.bool_:
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    if alpha != 1:
        source = source * x.dtype.type(alpha)
    index = index.reshape(-1)
    target, rows = np.moveaxis(out, dim, 0), np.moveaxis(source, dim, 0)
    if target.flags.c_contiguous:
        add_rows(target, index, rows)
    else:
        copy = np.ascontiguousarray(target)
        add_rows(copy, index, rows)
        target[...] = copy
    return None


def _index_copy(out: Any, x: Any, index: Any, source: Any, dim: int) -> Any:
    if not _fits(x, dim, index, source):
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    np.moveaxis(out, dim, 0)[index.reshape(-1)] = np.moveaxis(source, dim, 0)
    return None


def _index_fill(out: Any, x: Any, index: Any, value: Any, dim: int) -> Any:
    if x.ndim == 0 or index.ndim > 1 or index.dtype.kind != "i" or index.itemsize < 4 or (
            not -x.ndim <= dim < x.ndim or np.ndim(value)):
        return NotImplemented
    if index.size and (index.min() < -x.shape[dim] or index.max() >= x.shape[dim]):
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    np.moveaxis(out, dim, 0)[index.reshape(-1)] = value
    return None


kernels.register("index_add", fresh=on_a_copy(_index_add))(_index_add)
kernels.register("index_copy", fresh=on_a_copy(_index_copy))(_index_copy)
kernels.register("index_fill", fresh=on_a_copy(_index_fill))(_index_fill)
