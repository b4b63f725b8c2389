"""Sliding windows over the spatial dimensions of NumPy arrays."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod
from typing import Any, Final

import numpy as np

Ints = tuple[int, ...]
Array = np.ndarray[Any, Any]

BLOCK: Final = 1 << 18
"""Elements of a scratch block: about what a core's own cache holds."""


class Plan:
    """Where windows lie over inputs of one shape; made once per shape and options.

    Attributes:
        sizes: the spatial sizes of the input.
        counts: how many windows there are along each of them.
        length: how many there are in all.
        area: elements of a window, of one channel.
    """

    __slots__ = ("area", "counts", "dilation", "is_whole", "kernel", "length", "ndim", "padded",
                 "padding", "sizes", "stride")

    def __init__(
        self, sizes: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, counts: Ints
    ) -> None:
        self.sizes, self.kernel, self.stride = sizes, kernel, stride
        self.padding, self.dilation, self.counts = padding, dilation, counts
        self.ndim = len(sizes)
        self.padded = tuple(  # the last window may reach past the padding
            max(n + 2 * p, (c - 1) * s + d * (k - 1) + 1)
            for n, p, c, s, d, k in zip(
                sizes, padding, counts, stride, dilation, kernel, strict=True)
        )
        self.length, self.area = prod(counts), prod(kernel)
        self.is_whole = self.padded == sizes

    def offsets(self) -> Any:
        """The indices of a window's elements."""
        return product(*map(range, self.kernel))

    def slices(self, offset: Ints) -> tuple[slice, ...]:
        """Of the padded input: what one element of the windows sees."""
        return tuple(
            slice(k * d, k * d + s * (n - 1) + 1, s)
            for k, d, s, n in zip(offset, self.dilation, self.stride, self.counts, strict=True)
        )


@lru_cache(maxsize=4096)
def plan(
    sizes: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints,
    ceil_mode: bool = False,
) -> Plan | None:
    """The plan of some windows; None for options that make no sense, or if none fits."""
    if not len(sizes) == len(kernel) == len(stride) == len(padding) == len(dilation):
        return None
    if min((*stride, *dilation, *kernel), default=1) < 1 or min(padding, default=0) < 0:
        return None
    counts = tuple(
        _count(n + 2 * p - d * (k - 1) - 1, s, n + p, ceil_mode)
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )
    if min(counts, default=1) < 1:
        return None
    return Plan(sizes, kernel, stride, padding, dilation, counts)


def _count(room: int, step: int, end: int, ceil_mode: bool) -> int:
    """How many windows; rounded up only if the last one begins before ``end``."""
    if not ceil_mode:
        return room // step + 1
    count = -(-room // step) + 1
    return count - 1 if (count - 1) * step >= end else count


def padded(x: Array, p: Plan, value: Any = 0) -> Array:
    """Row-major (N, C, *padded sizes)."""
    if p.is_whole:
        return x if x.flags.c_contiguous else np.ascontiguousarray(x)
    shape = (*x.shape[:2], *p.padded)
    out = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
    out[_inside(p, 2)] = x
    return out


def padded_pixels(x: Array, p: Plan) -> Array:
    """Row-major (N, *padded sizes, C) of an array (N, C, *sizes)."""
    pixels = np.moveaxis(x, 1, -1)
    if p.is_whole:
        return np.ascontiguousarray(pixels)
    out = np.zeros((x.shape[0], *p.padded, x.shape[1]), x.dtype)
    out[_inside(p, 1)] = pixels
    return out


def _inside(p: Plan, lead: int) -> tuple[slice, ...]:
    """The input within the padded one."""
    inner = (slice(b, b + n) for b, n in zip(p.padding, p.sizes, strict=True))
    return (*(slice(None),) * lead, *inner)


def unpadded(x: Array, p: Plan, lead: int = 2) -> Array:
    """The inverse of padding, as a view."""
    return x if p.is_whole else x[_inside(p, lead)]


def windows(x: Array, p: Plan) -> Array:
    """A view (N, C, *kernel, *counts) of a row-major padded array."""
    lead, steps = x.strides[:2], x.strides[2:]
    return np.ndarray(
        (*x.shape[:2], *p.kernel, *p.counts), x.dtype, x, 0,
        (*lead, *(s * d for s, d in zip(steps, p.dilation, strict=True)),
         *(s * d for s, d in zip(steps, p.stride, strict=True))),
    )


def pixel_windows(x: Array, p: Plan) -> Array:
    """A view (N, *counts, *kernel, C) of a row-major padded array (N, *sizes, C)."""
    steps = x.strides[1:-1]
    return np.ndarray(
        (x.shape[0], *p.counts, *p.kernel, x.shape[-1]), x.dtype, x, 0,
        (x.strides[0], *(s * d for s, d in zip(steps, p.stride, strict=True)),
         *(s * d for s, d in zip(steps, p.dilation, strict=True)), x.strides[-1]),
    )


def fold(columns: Array, p: Plan, out: Array) -> None:
    """Add windows (N, C, *kernel, *counts) into a padded array (N, C, *padded sizes).

    One dimension at a time: ``sum(kernel)`` additions, not ``prod(kernel)``.  The first goes
    first, as whatever lies behind it is dense in both arrays and is added in one run.
    """
    for d in range(p.ndim):
        rest = p.ndim - d  # dimensions that still have a kernel
        shape = [*columns.shape[:2], *p.kernel[d + 1 :], *p.padded[: d + 1], *p.counts[d + 1 :]]
        total: Any = out if rest == 1 else np.zeros(shape, columns.dtype)
        lead = (slice(None),) * (1 + rest + d)
        reach = p.stride[d] * (p.counts[d] - 1) + 1
        for k in range(p.kernel[d]):
            start = k * p.dilation[d]
            part = total[(*lead, slice(start, start + reach, p.stride[d]))]
            np.add(part, columns[:, :, k], part)
        columns = total


def fold_pixels(columns: Array, p: Plan, out: Array) -> None:
    """Add windows (N, *counts, *kernel, C) into a padded array (N, *padded sizes, C)."""
    lead = (slice(None),) * (1 + p.ndim)
    for offset in p.offsets():
        part = out[(slice(None), *p.slices(offset))]
        np.add(part, columns[(*lead, *offset)], part)
