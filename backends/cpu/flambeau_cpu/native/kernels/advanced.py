"""Indexing by arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.index import LARGE, masked_select
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


@kernels.out_form("index_put", at=LARGE)
def index_put(out: Any, x: Any, indices: Any, values: Any, accumulate: bool) -> Any:
    """Rows added at indices of the first dimension of a copy."""
    item = indices[0]
    if not accumulate or len(indices) > 1 or item is None or item.dtype.char not in "lqi" or (
            values.shape != (*item.shape, *out.shape[1:]) or not values.size):
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    rows = values.reshape(item.size, *out.shape[1:])
    done = add_rows(out, _wrapped(item, len(out)).reshape(-1), rows)
    return None if done else NotImplemented
