"""Greatest values of windows, in both memory formats."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, Final

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import is_last, new, placed
from flambeau_cpu.windows import Plan, plan

kernels = NativeTable()
library: Final = Library("pool", {
    "fb_max_pool": "aaaaiii", "fb_max_pool_backward": "aaaaiii", "fb_avg_pool": "aaaiii",
    "fb_avg_pool_backward": "aaaiii"})
Ints = tuple[int, ...]
_CODE: Final = np.dtype(np.uint8)


def geometry(p: Plan) -> list[int]:
    """The windows as the source reads them, with three dimensions."""
    more = 3 - p.ndim
    ones, zeros = (1,) * more, (0,) * more
    parts = ((ones, p.sizes), (ones, p.counts), (ones, p.kernel), (ones, p.stride),
             (zeros, p.padding), (ones, p.dilation))
    return [n for before, after in parts for n in (*before, *after)]


@lru_cache(maxsize=1024)
def _windows(
    sizes: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[Ints, Any] | None:
    """The numbers of windows, and the geometry; None for what the kernels do not do."""
    p = plan(sizes, kernel, stride, padding, dilation, ceil_mode)
    if p is None or p.ndim > 3 or p.area > 255 or any(
            pad > d * (k - 1) for pad, d, k in zip(padding, dilation, kernel, strict=True)):
        return None
    return p.counts, np.array(geometry(p), np.int64)


def _found(x: Any, sizes: Any, options: tuple[Any, ...]) -> tuple[Ints, Any] | None:
    if x.dtype.char not in "fd" or not x.size:
        return None
    *windows, ceil_mode = options
    return _windows(tuple(sizes), *map(tuple, windows), bool(ceil_mode))


def images(shape: Any, last: bool) -> tuple[int, int]:
    """How many images and channels the source is to see: planes are images without channels."""
    return (shape[0], shape[1]) if last else (shape[0] * shape[1], 0)


def moved(x: Any, last: bool) -> Any:
    """An array made with channels ``last`` as (N, C, *)."""
    return np.moveaxis(x, -1, 1) if last else x


def _pooled(self: Any, window: tuple[Any, ...], wants_places: bool) -> Any:
    """The values, and which element of its window each one is, or None for that."""
    c = library()
    found = _found(self, self.shape[2:], window)
    if c is None or found is None:
        return NotImplemented
    counts, sizes = found
    last, shape = is_last(self), (*self.shape[:2], *counts)
    out = new(shape, self.dtype, last)
    which = new(shape, _CODE, last) if wants_places else None
    c.fb_max_pool(out, which, placed(self, last), sizes, *images(shape, last), self.itemsize == 8)
    return moved(out, last), None if which is None else moved(which, last)


@kernels.fresh_form("max_pool_windows", at=1)
def max_pool_windows(
    self: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    """The values, and which element of its window each one is."""
    return _pooled(self, (kernel_size, stride, padding, dilation, ceil_mode), True)


@kernels.fresh_form("max_pool_values", at=1)
def max_pool_values(
    self: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    """The values alone."""
    found = _pooled(self, (kernel_size, stride, padding, dilation, ceil_mode), False)
    return found if found is NotImplemented else found[0]


@kernels.fresh_form("max_pool_scatter", at=1)
def max_pool_scatter(
    grad: Any, which: Any, size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Any:
    """Each window's gradient to the element that was the greatest."""
    c = library()
    found = _found(grad, size[2:], (kernel_size, stride, padding, dilation, ceil_mode))
    if c is None or found is None or which.dtype != _CODE or (
            not grad.shape == which.shape == (*size[:2], *found[0])) or not prod(size):
        return NotImplemented
    last = is_last(which)
    dx = new(tuple(size), grad.dtype, last)
    c.fb_max_pool_backward(dx, placed(grad, last), placed(which, last), found[1],
                           *images(size, last), grad.itemsize == 8)
    return moved(dx, last)
