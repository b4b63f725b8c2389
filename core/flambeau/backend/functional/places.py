"""Strided layouts in the words of libraries without strides: slices of a grid, or index arrays.

Most views are parts of a larger row-major array with their dimensions in another order.  Such a
view is found again from its strides alone: the strides, sorted, are those of the larger array, and
the offset says where in it the part starts.  What is no such part is gathered by an index array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np

from flambeau.backend import Layout


@dataclass(frozen=True, slots=True)
class Grid:
    """A layout as a part of a row-major array."""

    window: tuple[slice, ...]
    """The elements of the flat array that make up the row-major one."""
    shape: tuple[int, ...]
    """The shape of the row-major array."""
    part: tuple[slice, ...]
    """The layout's elements in it, one slice per dimension."""
    sizes: tuple[int, ...]
    """The shape of the part: the layout's sizes, outermost first, without those of 1."""
    order: tuple[int, ...]
    """The dimensions of the part in the layout's order."""
    is_whole: bool
    """Whether the window is the whole flat array."""

    def inverse(self) -> tuple[int, ...]:
        """The order that brings the layout's dimensions into that of the part."""
        return tuple(int(d) for d in np.argsort(self.order))


@lru_cache(maxsize=4096)
def grid_of(layout: Layout, count: int) -> Grid | None:
    """The grid of a layout over a flat array of ``count`` elements, None if there is none.

    Dimensions of size 1 do not count, wherever they point.
    """
    kept = [d for d in range(layout.ndim) if layout.shape[d] != 1]
    outermost_first = sorted(kept, key=lambda d: -layout.strides[d])
    sizes = tuple(layout.shape[d] for d in outermost_first)
    strides = [layout.strides[d] for d in outermost_first]
    extents = _extents(strides, count)
    if extents is None:
        return None
    steps = [*([1] * (len(strides) - 1)), strides[-1]] if strides else [1]
    units = [*strides[:-1], 1]
    part, rest = [], layout.offset
    for size, extent, step, unit in zip(sizes or (1,), extents, steps, units, strict=True):
        start, rest = divmod(rest, unit)
        stop = start + (size - 1) * step + 1
        if stop > extent:
            return None  # it wraps around into the next row
        part.append(slice(start, stop, step))
    used = extents[0] * units[0]
    position = {d: i for i, d in enumerate(outermost_first)}
    return Grid(
        (slice(0, used, 1),), tuple(extents), tuple(part), sizes or (1,),
        tuple(position[d] for d in kept) or (0,), used == count,
    )


def _extents(strides: list[int], count: int) -> list[int] | None:
    """The shape of the row-major array that has these strides, except the innermost, which is 1."""
    if len(strides) <= 1:
        return [count]
    extents = [count // strides[0]]
    for outer, inner in pairwise(strides[:-1]):
        if outer % inner:
            return None
        extents.append(outer // inner)
    extents.append(strides[-2])
    return extents


REMEMBERED: Final = 1 << 16
"""Layouts of up to so many elements keep their index arrays."""


def gather_places(layout: Layout) -> np.ndarray[Any, Any]:
    """Positions in the flat array of the elements of a layout, int64, of the layout's shape."""
    return _remembered(layout) if layout.numel <= REMEMBERED else _places(layout)


def _places(layout: Layout) -> np.ndarray[Any, Any]:
    places = np.full((), layout.offset, np.int64)
    for d, (n, stride) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        steps = np.arange(n, dtype=np.int64) * stride
        places = places + steps.reshape((n,) + (1,) * (layout.ndim - 1 - d))
    return places.reshape(layout.shape)


_remembered = lru_cache(maxsize=256)(_places)
