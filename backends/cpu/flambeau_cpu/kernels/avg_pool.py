"""Means of windows: sums one dimension at a time, then one division."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.windows import Array, Ints, Plan, padded, plan, unpadded

kernels = KernelTable()


def _plan(sizes: Ints, kernel: Any, stride: Any, padding: Any, ceil_mode: bool) -> Plan | None:
    size = tuple(kernel)
    return plan(sizes, size, tuple(stride), tuple(padding), (1,) * len(size), bool(ceil_mode))


@lru_cache(maxsize=1024)
def _divisor(p: Plan, include_pad: bool, dtype: Any) -> Any:
    """The number of elements of each window: one number, or an array (*counts)."""
    total: Any = 1
    for d, (size, count) in enumerate(zip(p.sizes, p.counts, strict=True)):
        start = np.arange(count) * p.stride[d] - p.padding[d]
        end = np.minimum(start + p.kernel[d], size + p.padding[d])
        if not include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, size)
        total = total * (end - start).reshape(-1, *(1,) * (p.ndim - 1 - d))
    if total.size and (total == total.flat[0]).all():
        return dtype.type(total.flat[0])
    return total.astype(dtype)


def _slice(p: Plan, d: int, k: int, lead: int) -> tuple[slice, ...]:
    reach = p.stride[d] * (p.counts[d] - 1) + 1
    return (*(slice(None),) * lead, slice(k, k + reach, p.stride[d]))


@kernels.register_fresh("avg_pool_windows")
def avg_pool_windows(
    self: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:
    """``sum(kernel)`` additions, the last dimension first."""
    p = _plan(self.shape[2:], kernel_size, stride, padding, ceil_mode)
    if p is None or self.dtype.kind != "f" or self.itemsize < 4:
        return NotImplemented
    x = self if p.is_whole else padded(self, p)
    for d in range(p.ndim - 1, -1, -1):
        parts = [x[_slice(p, d, k, 2 + d)] for k in range(p.kernel[d])]
        x = parts[0] if len(parts) == 1 else np.add(parts[0], parts[1])
        for part in parts[2:]:
            np.add(x, part, x)
    divisor = divisor_override or _divisor(p, bool(count_include_pad), self.dtype)
    return np.true_divide(x, divisor)


@kernels.register_fresh("avg_pool_spread")
def avg_pool_spread(
    grad: Any, size: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:
    """The adjoint: every window adds its share to ``sum(kernel)`` places."""
    shape = tuple(size)
    p = _plan(shape[2:], kernel_size, stride, padding, ceil_mode)
    if p is None or grad.dtype.kind != "f" or grad.itemsize < 4 or grad.shape[2:] != p.counts:
        return NotImplemented
    divisor = divisor_override or _divisor(p, bool(count_include_pad), grad.dtype)
    x: Array = np.true_divide(grad, divisor)
    for d in range(p.ndim):
        total = np.zeros((*shape[:2], *p.padded[: d + 1], *p.counts[d + 1 :]), grad.dtype)
        apart = p.stride[d] >= p.kernel[d]
        for k in range(p.kernel[d]):
            part = total[_slice(p, d, k, 2 + d)]
            if apart:
                part[...] = x
            else:
                np.add(part, x, part)
        x = total
    assert x.size == prod(shape[:2]) * prod(p.padded)
    return unpadded(x, p)
