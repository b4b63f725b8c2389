"""Indexing by arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.index import LARGE, masked_select, row_major
from flambeau_cpu.native.kernels.index_dim import add_rows, take

kernels = NativeTable()


def _wrapped(index: Any, size: int) -> Any:
    """An index with negative ones counted from the end."""
    return np.where(index < 0, index + size, index) if index.size and index.min() < 0 else index


@kernels.fresh_form("index", at=LARGE)
def index(x: Any, indices: Any) -> Any:
    """Elements at the indices of one dimension, or where a mask of the whole shape holds."""
    given = [d for d, item in enumerate(indices) if item is not None]
    if len(given) != 1:
        return NotImplemented
    dim, item = given[0], indices[given[0]]
    if item.dtype.char == "?":
        return masked_select(x, item) if item.shape == x.shape else NotImplemented
    if item.dtype.char not in "lqi" or dim >= x.ndim:
        return NotImplemented
    return take(x, _wrapped(item, x.shape[dim]), dim)


def _positions(shape: tuple[int, ...], indices: Any) -> Any:
    """Positions in a row-major array of what an index per dimension names; None if one is of
    another type, or names nothing."""
    total: Any = 0
    for item, size in zip(indices, shape, strict=True):
        if item is None or item.dtype.char not in "lqi" or item.shape != indices[0].shape:
            return None
        item = _wrapped(item, size)
        if item.min() < 0 or item.max() >= size:
            return None
        total = total * size + item
    return total


@kernels.out_form("index_put", at=LARGE)
def index_put(out: Any, x: Any, indices: Any, values: Any, accumulate: bool) -> Any:
    """Rows added at indices of the first dimension of a copy, or elements at all indices."""
    item = indices[0]
    if not accumulate or item is None or item.dtype.char not in "lqi" or not values.size or (
            values.shape != (*item.shape, *out.shape[len(indices) :]) or not row_major(out)):
        return NotImplemented
    if len(indices) == 1:
        at, target = _wrapped(item, len(out)).reshape(-1), out
    elif len(indices) == out.ndim and (at := _positions(out.shape, indices)) is not None:
        at, target = at.reshape(-1), out.reshape(-1)
    else:
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    done = add_rows(target, at, values.reshape(at.size, *target.shape[1:]))
    return None if done else NotImplemented
