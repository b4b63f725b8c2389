"""Sliding windows over the spatial dimensions of (N, C, *spatial) tensors.

Convolution, pooling, ``unfold`` and ``fold`` share them.  What makes tensors here works below
autograd: the ops that use it have derivatives of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from flambeau import dispatch
from flambeau.layout import Layout
from flambeau.tensor import Tensor, from_storage


class Geometry(NamedTuple):
    """Windows of some size over every spatial dimension, a number per dimension each."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False
    """Also count a last window that begins within the input or its padding and ends outside."""

    def extent(self, d: int) -> int:
        """From the first to the last element of a window."""
        return self.dilation[d] * (self.kernel[d] - 1) + 1

    def counts(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Number of windows over inputs of some sizes; below 1 where none fits."""
        return tuple(self._count(d, n) for d, n in enumerate(sizes))

    def _count(self, d: int, size: int) -> int:
        room = size + 2 * self.padding[d] - self.extent(d)
        step = self.stride[d]
        if not self.ceil_mode:
            return room // step + 1
        count = -(-room // step) + 1
        return count - 1 if (count - 1) * step >= size + self.padding[d] else count

    def overhang(self, sizes: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
        """Padding needed at the end of each dimension for the last window to fit."""
        return tuple(
            max(self.padding[d], (counts[d] - 1) * self.stride[d] + self.extent(d)
                - size - self.padding[d])
            for d, size in enumerate(sizes)
        )


def per_dimension(value: Any, n: int, name: str) -> tuple[int, ...]:
    """A size for each spatial dimension from one number or several.

    Raises:
        RuntimeError: for a list of another length.
        TypeError: for what are no integers.
    """
    if isinstance(value, int) or not hasattr(value, "__len__"):
        return (_integer(value, name),) * n
    if len(value) == 1:
        return (_integer(value[0], name),) * n
    if len(value) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the "
            f"dimensions of the input, but got {name}={list(value)}")
    return tuple(_integer(v, name) for v in value)


def _integer(value: Any, name: str) -> int:
    if isinstance(value, float):
        raise TypeError(f"argument '{name}' must be tuple of ints, not float")
    return int(value)


def padded(x: Tensor, before: Sequence[int], after: Sequence[int], value: Any = 0) -> Tensor:
    """A copy with a border of one value around the trailing dimensions."""
    if not any(before) and not any(after):
        return x
    lead = x.ndim - len(before)
    shape = list(x.shape)
    for d, (b, a) in enumerate(zip(before, after, strict=True)):
        shape[lead + d] += b + a
    out = dispatch.full(x._kind, shape, value)
    dispatch.raw_copy(inner(out, before, x.shape[lead:]), x)
    return out


def inner(x: Tensor, before: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """The part of the trailing dimensions that lies within a border: shares memory."""
    layout = x.layout_()
    lead = layout.ndim - len(sizes)
    for d, (b, n) in enumerate(zip(before, sizes, strict=True)):
        layout = layout.slice(lead + d, b, b + n)
    return from_storage(x._kind, x.storage_(), layout)


def windows(x: Tensor, geometry: Geometry, counts: Sequence[int]) -> Tensor:
    """A view (N, C, *kernel, *counts) of a tensor that is already padded: shares memory."""
    layout = x.layout_()
    lead = layout.ndim - len(counts)
    steps = layout.strides[lead:]
    shape = (*layout.shape[:lead], *geometry.kernel, *counts)
    strides = (
        *layout.strides[:lead],
        *(s * d for s, d in zip(steps, geometry.dilation, strict=True)),
        *(s * d for s, d in zip(steps, geometry.stride, strict=True)),
    )
    return from_storage(x._kind, x.storage_(), Layout.of(shape, strides, layout.offset))


def fold(columns: Tensor, geometry: Geometry, sizes: Sequence[int]) -> Tensor:
    """Sum windows (N, C, *kernel, *counts) back to (N, C, *sizes): the adjoint of ``windows``.

    One dimension at a time: ``sum(kernel)`` additions, not ``prod(kernel)``.
    """
    n = len(sizes)
    counts = columns.shape[2 + n :]
    after = geometry.overhang(sizes, counts)
    total = [m + b + a for m, b, a in zip(sizes, geometry.padding, after, strict=True)]
    for d in range(n):
        columns = _fold_first(columns, geometry, d, n - d, total[d])
    return inner(columns, geometry.padding, sizes)


def _fold_first(columns: Tensor, geometry: Geometry, d: int, left: int, size: int) -> Tensor:
    """(N, C, k_d, ..., *done, o_d, ...) to (N, C, ..., *done, size, ...).

    Args:
        left: how many dimensions still have a kernel, this one included.
    """
    at = 1 + left + d  # of o_d, once k_d is gone
    shape = [*columns.shape[:2], *columns.shape[3:]]
    count, shape[at] = shape[at], size
    out = dispatch.full(columns._kind, shape, 0)
    source, target = columns.layout_(), out.layout_()
    stride, step = geometry.stride[d], geometry.dilation[d]
    reach = stride * (count - 1) + 1
    for k in range(geometry.kernel[d]):
        part = _at(out, target.slice(at, k * step, k * step + reach, stride))
        part.add_(_at(columns, source.select(2, k)))
    return out


def _at(x: Tensor, layout: Layout) -> Tensor:
    return from_storage(x._kind, x.storage_(), layout)
