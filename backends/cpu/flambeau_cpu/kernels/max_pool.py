"""Greatest values of windows: one elementwise step per element of the window."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.windows import BLOCK, Array, Plan, padded, plan, unpadded

kernels = KernelTable()


def _plan(x: Any, sizes: Any, *options: Any) -> Plan | None:
    """The plan, unless the kernel is not made for such a case."""
    if x.dtype.kind not in "fiu" or not x.size:
        return None
    *windows, ceil_mode = options
    return plan(tuple(sizes), *map(tuple, windows), bool(ceil_mode))


def _parts(x: Array, p: Plan) -> list[Array]:
    """What each element of the windows sees."""
    return [x[(slice(None), slice(None), *p.slices(offset))] for offset in p.offsets()]


def _lowest(dtype: Any) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _image_blocks(x: Array) -> list[slice]:
    """Images that fit the cache together."""
    count = x.shape[0]
    step = max(1, BLOCK * count // x.size)
    return [slice(i, i + step) for i in range(0, count, step)]


@kernels.register_fresh("max_pool_values")
def max_pool_values(
    self: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    """One dimension at a time, the last one first: ``sum(kernel)`` steps."""
    p = _plan(self, self.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if p is None:
        return NotImplemented
    x = self if p.is_whole else padded(self, p, _lowest(self.dtype))
    for d in range(p.ndim - 1, -1, -1):
        lead = (slice(None),) * (2 + d)
        reach = p.stride[d] * (p.counts[d] - 1) + 1
        parts = [
            x[(*lead, slice(k * p.dilation[d], k * p.dilation[d] + reach, p.stride[d]))]
            for k in range(p.kernel[d])
        ]
        x = parts[0] if len(parts) == 1 else np.maximum(parts[0], parts[1])
        for part in parts[2:]:
            np.maximum(x, part, out=x)
    return x.copy() if p.area == 1 or np.may_share_memory(x, self) else x


@kernels.register_fresh("max_pool_windows")
def max_pool_windows(
    self: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    """A later element that is greater overwrites the position, so the first of equals stays."""
    p = _plan(self, self.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if p is None or not 1 < p.area < 256:
        return NotImplemented
    x = self if p.is_whole else padded(self, p, _lowest(self.dtype))
    parts = _parts(x, p)
    out = np.empty_like(parts[0], subok=False)
    which = np.empty_like(out, np.uint8)
    better = np.empty_like(out, np.bool_)
    as_byte, step = better.view(np.uint8), np.empty_like(which)
    for block in _image_blocks(x):
        into, position, wins = out[block], which[block], better[block]
        np.maximum(parts[0][block], parts[1][block], out=into)
        np.greater(parts[1][block], parts[0][block], out=position.view(np.bool_))
        for k in range(2, p.area):
            part = parts[k][block]
            np.greater(part, into, out=wins)
            np.maximum(part, into, out=into)
            np.multiply(as_byte[block], np.uint8(k), out=step[block])
            np.maximum(position, step[block], out=position)
    if out.dtype.kind == "f" and np.isnan(np.min(out)):
        _point_at_nan(parts, out, which)
    return out, which


def _point_at_nan(parts: list[Array], out: Array, which: Array) -> None:
    """Where NaN won, no comparison says so: point at the first one."""
    for k in range(len(parts) - 1, -1, -1):
        np.copyto(which, np.uint8(k), where=np.isnan(parts[k]))


@kernels.register_fresh("max_pool_scatter")
def max_pool_scatter(
    grad: Any, which: Any, size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Any:
    """For each element of the windows, the bits of the gradients of the windows that it won.

    A product with "it won" would turn an infinite gradient into NaN everywhere else.
    """
    p = _plan(grad, size[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if p is None or grad.dtype.kind != "f" or which.dtype != np.uint8:
        return NotImplemented
    apart = all(
        s >= d * (k - 1) + 1 for s, d, k in zip(p.stride, p.dilation, p.kernel, strict=True))
    bits = np.dtype(f"i{grad.itemsize}")
    dx = np.zeros((*size[:2], *p.padded), grad.dtype)
    won = np.empty_like(which, np.bool_)
    for k, part in enumerate(_parts(dx, p)):
        np.equal(which, np.uint8(k), out=won)
        mask = np.negative(won.view(np.int8)).astype(bits)  # all bits or none
        if apart:
            np.bitwise_and(grad.view(bits), mask, out=part.view(bits))
        else:
            np.add(part, np.bitwise_and(grad.view(bits), mask).view(grad.dtype), out=part)
    return unpadded(dx, p)


@kernels.register_fresh("max_pool_gather")
def max_pool_gather(
    self: Any, which: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Any:
    """Each element of the windows where it is the one asked for."""
    p = _plan(self, self.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if p is None or which.dtype != np.uint8:
        return NotImplemented
    out = np.zeros(which.shape, self.dtype)
    for k, part in enumerate(_parts(padded(self, p), p)):
        np.copyto(out, part, where=which == k)
    return out
