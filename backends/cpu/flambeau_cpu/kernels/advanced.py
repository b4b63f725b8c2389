"""Indexing by arrays: NumPy's own, where it means the same.

What NumPy refuses is declined, so that the decomposition finds the words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.index import add_at
from flambeau_cpu.kernels.index_dim import add_rows

kernels = KernelTable()


def _key(indices: Any) -> tuple[Any, ...] | None:
    """The indices as NumPy takes them, None if one is of another type."""
    for item in indices:
        if item is not None and item.dtype.char not in "?lqi":
            return None
    return tuple(slice(None) if item is None else item for item in indices)


@kernels.register_fresh("index")
def index(x: Any, indices: Any) -> Any:
    """Elements at broadcast indices."""
    key = _key(indices)
    if key is None:
        return NotImplemented
    try:
        given = [d for d, item in enumerate(indices) if item is not None]
        if len(given) == 1 and indices[given[0]].dtype.char != "?":
            return x.take(indices[given[0]], given[0])  # faster, and row-major
        return np.ascontiguousarray(x[key])
    except IndexError:
        return NotImplemented


def _put_fresh(x: Any, indices: Any, values: Any, accumulate: bool) -> Any:
    if x.dtype != values.dtype:
        return NotImplemented
    out = np.array(x, order="C")  # of a 0-d tensor x may be a NumPy scalar
    return NotImplemented if _put(out, indices, values, accumulate) is NotImplemented else out


@kernels.register("index_put", fresh=_put_fresh)
def index_put(out: Any, x: Any, indices: Any, values: Any, accumulate: bool) -> Any:
    """Write or add elements at broadcast indices of a copy."""
    if x.dtype != values.dtype:
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    return _put(out, indices, values, accumulate)


def _put(out: Any, indices: Any, values: Any, accumulate: bool) -> Any:
    key = _key(indices)
    if key is None:
        return NotImplemented
    try:
        if not accumulate:
            out[key] = values
        elif len(key) == 1 and key[0].dtype.char != "?" and out.flags.c_contiguous:
            rows = np.broadcast_to(values, key[0].shape + out.shape[1:])
            at = _wrapped(key[0], out.shape[0])
            add_rows(out, at.reshape(-1), rows.reshape(at.size, *out.shape[1:]))
        else:
            _accumulate(out, key, values)
    except (IndexError, ValueError):
        return NotImplemented
    return None


def _wrapped(index: Any, size: int) -> Any:
    if index.size and (index.min() < -size or index.max() >= size):
        raise IndexError
    return np.where(index < 0, index + size, index)


def _accumulate(out: Any, key: tuple[Any, ...], values: Any) -> None:
    """Add at places found by indexing an array of positions in the same way."""
    places = np.arange(out.size).reshape(out.shape)[key]
    if out.flags.c_contiguous:
        add_at(out.reshape(-1), places, values)
        return
    flat = np.ascontiguousarray(out).reshape(-1)
    add_at(flat, places, values)
    out[...] = flat.reshape(out.shape)
