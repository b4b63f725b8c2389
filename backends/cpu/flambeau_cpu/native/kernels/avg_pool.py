"""Means of windows, in both memory formats."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.max_pool import Ints, geometry, images, library, moved
from flambeau_cpu.native.order import is_last, new, placed
from flambeau_cpu.windows import Plan, plan

kernels = NativeTable()


def _factors(p: Plan, d: int, include_pad: bool) -> list[int]:
    """How many elements of each window count along a dimension."""
    result = []
    for i in range(p.counts[d]):
        start = i * p.stride[d] - p.padding[d]
        end = min(start + p.kernel[d], p.sizes[d] + p.padding[d])
        result.append(
            end - start if include_pad else min(end, p.sizes[d]) - max(start, 0))
    return result


@lru_cache(maxsize=1024)
def _windows(
    sizes: Ints, kernel: Ints, stride: Ints, padding: Ints, ceil_mode: bool, include_pad: bool,
    divisor: int | None,
) -> tuple[Ints, Any] | None:
    """The numbers of windows, and the geometry with what sums are divided by; None if declined."""
    p = plan(sizes, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    if p is None or p.ndim > 3 or p.area > 256:
        return None
    numbers = geometry(p) + [1] * (3 - p.ndim)
    for d in range(p.ndim):
        numbers += _factors(p, d, include_pad) if divisor is None else [
            divisor if d == 0 else 1] * p.counts[d]
    return p.counts, np.array(numbers, np.int64)


def _found(x: Any, sizes: Any, options: tuple[Any, ...]) -> tuple[Ints, Any] | None:
    if x.dtype.char not in "fd" or not x.size:
        return None
    kernel, stride, padding, ceil_mode, include_pad, divisor = options
    return _windows(tuple(sizes), tuple(kernel), tuple(stride), tuple(padding), bool(ceil_mode),
                    bool(include_pad), divisor)


@kernels.fresh_form("avg_pool_windows", at=1)
def avg_pool_windows(
    self: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:
    """Sums, then one division."""
    c = library()
    found = _found(self, self.shape[2:], (
        kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override))
    if c is None or found is None:
        return NotImplemented
    counts, sizes = found
    last, shape = is_last(self), (*self.shape[:2], *counts)
    out = new(shape, self.dtype, last)
    c.fb_avg_pool(out, placed(self, last), sizes, *images(shape, last), self.itemsize == 8)
    return moved(out, last)


@kernels.fresh_form("avg_pool_spread", at=1)
def avg_pool_spread(
    grad: Any, size: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:
    """The adjoint: every window adds its share to its elements."""
    c = library()
    found = _found(grad, size[2:], (
        kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override))
    if c is None or found is None or grad.shape != (*size[:2], *found[0]) or not prod(size):
        return NotImplemented
    last = is_last(grad)
    dx = new(tuple(size), grad.dtype, last)
    c.fb_avg_pool_backward(dx, placed(grad, last), found[1], *images(size, last),
                           grad.itemsize == 8)
    return moved(dx, last)
