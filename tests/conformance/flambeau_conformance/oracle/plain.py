"""Kernels that no formula describes, as plainly as NumPy can say them.

Loops over indices are meant: what is slow and obvious is what a fast kernel is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


# ---- memory ------------------------------------------------------------------------------------
@kernels.register("copy")
def copy(out: Any, source: Any) -> None:
    """Convert elements: complex to real drops the imaginary part, floats to integers truncate."""
    if source.dtype.kind == "c" and out.dtype.kind != "c":
        source = source != 0 if out.dtype.kind == "b" else source.real
    if out.dtype.kind in "iu" and source.dtype.kind not in "iub":
        source = _whole(source)
    with np.errstate(all="ignore"):
        out[...] = source.astype(out.dtype)


def _whole(source: Any) -> Any:
    """Truncated to int64, of which narrower types keep the low bits."""
    with np.errstate(all="ignore"):
        return source.astype(np.float64).astype(np.int64)


@kernels.register("fill")
def fill(out: Any, value: Any) -> None:
    """Set every element."""
    out[...] = value


@kernels.register("arange_steps")
def arange_steps(out: Any, start: Any, step: Any) -> None:
    """``start + i * step``, in exact arithmetic for integers."""
    for i in range(out.size):
        out[i] = start + i * step


# ---- indices -----------------------------------------------------------------------------------
def _positions(index: Any, dim: int, size: int) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Each position of an index, and the same position with the index's value at ``dim``."""
    for at in np.ndindex(index.shape):
        value = int(index[at])
        if not 0 <= value < size:
            raise IndexError(f"index {value} is out of bounds for dimension {dim} with size {size}")
        yield at, (*at[:dim], value, *at[dim + 1 :])


def _at_least_1d(*arrays: Any) -> tuple[Any, ...]:
    return tuple(a.reshape(1) if isinstance(a, np.ndarray) and not a.ndim else a for a in arrays)


@kernels.register("gather")
def gather(out: Any, x: Any, index: Any, dim: int) -> None:
    """Read at an index."""
    out, x, index = _at_least_1d(out, x, index)
    for at, place in _positions(index, dim, x.shape[dim]):
        out[at] = x[place]


@kernels.register("scatter_elements")
def scatter_elements(out: Any, x: Any, index: Any, src: Any, dim: int) -> None:
    """Write at an index; the last write stays."""
    out[...] = x
    out, index, src = _at_least_1d(out, index, src)
    for at, place in _positions(index, dim, out.shape[dim]):
        out[place] = src[at] if isinstance(src, np.ndarray) else src


@kernels.register("scatter_add")
def scatter_add(out: Any, x: Any, index: Any, src: Any, dim: int) -> None:
    """Add at an index."""
    out[...] = x
    out, index, src = _at_least_1d(out, index, src)
    for at, place in _positions(index, dim, out.shape[dim]):
        out[place] += src[at]


# ---- sums of products, scans, order ------------------------------------------------------------
@kernels.register("matmul")
def matmul(out: Any, a: Any, b: Any) -> None:
    """Sums of products, over batches that broadcast."""
    rows = a[None, :] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    products = rows[..., :, :, None] * columns[..., None, :, :]
    result = products.sum(-2, dtype=out.dtype)
    result = result[..., 0, :] if a.ndim == 1 else result
    out[...] = result[..., 0] if b.ndim == 1 else result


@kernels.register("cumsum")
def cumsum(out: Any, x: Any, dim: int) -> None:
    """Running sum."""
    out[...] = x
    if x.ndim:
        for i in range(1, x.shape[dim]):
            here, before = (_at(dim, x.ndim, j) for j in (i, i - 1))
            out[here] = out[before] + x[here]


def _at(dim: int, ndim: int, index: int) -> tuple[Any, ...]:
    return tuple(index if d == dim else slice(None) for d in range(ndim))


@kernels.register("sort_stable")
def sort_stable(out: Any, x: Any, dim: int, descending: bool) -> None:
    """Python's sort of each line, NaN counting as greatest."""
    values, indices = out
    if not x.ndim:
        values[...], indices[...] = x, 0
        return
    lines = np.moveaxis(x, dim, -1)
    for at in np.ndindex(lines.shape[:-1]):
        line = lines[at].tolist()
        order = sorted(range(len(line)), key=lambda i: _rank(line[i]), reverse=descending)
        np.moveaxis(indices, dim, -1)[at] = order
        np.moveaxis(values, dim, -1)[at] = lines[at][order]


def _rank(value: Any) -> tuple[bool, Any]:
    is_nan = value != value
    return is_nan, 0 if is_nan else value
