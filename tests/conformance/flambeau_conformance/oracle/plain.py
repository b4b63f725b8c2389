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


# ---- Fourier transforms ------------------------------------------------------------------------
def _transform(x: Any, dims: Any, scale: int, sign: int) -> Any:
    """The defining sums, one dimension after the other."""
    x = x.astype(np.complex128)
    for d in dims:
        n = x.shape[d]
        at = np.arange(n)
        waves = np.exp(sign * 2j * np.pi * np.outer(at, at) / n) / (1, np.sqrt(n), n)[scale]
        x = np.moveaxis(np.tensordot(waves, x, (1, d)), 0, d)
    return x


@kernels.register("fft_complex")
def fft_complex(out: Any, x: Any, dim: Any, scale: int, forward: bool) -> None:
    """Complex to complex."""
    out[...] = _transform(x, dim, scale, -1 if forward else 1)


@kernels.register("fft_half")
def fft_half(out: Any, x: Any, dim: Any, scale: int) -> None:
    """Real to the first half of the last dimension."""
    whole = _transform(x, dim, scale, -1)
    out[...] = np.take(whole, np.arange(out.shape[dim[-1]]), dim[-1])


@kernels.register("fft_real")
def fft_real(out: Any, x: Any, dim: Any, scale: int, size: int) -> None:
    """The half completed: the later points are conjugates of the earlier ones."""
    x = _transform(x, dim[:-1], scale, 1)
    last = dim[-1]
    have = np.take(x, np.arange(size // 2 + 1), last)
    start = np.take(have, [0], last).real + 0j
    if size % 2 == 0 and size > 1:
        edge = np.take(have, [size // 2], last).real + 0j
        inner = np.take(have, np.arange(1, size // 2), last)
        parts = [start, inner, edge, np.flip(inner.conj(), last)]
    else:
        inner = np.take(have, np.arange(1, size // 2 + 1), last)
        parts = [start, inner, np.flip(inner.conj(), last)]
    out[...] = _transform(np.concatenate(parts, last), (last,), scale, 1).real
