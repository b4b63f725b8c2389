"""Greatest values of windows: a few elementwise steps per element of the window."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.windows import BLOCK, Array, Plan, padded, plan, unpadded, windows

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
    blocks = _image_blocks(x)
    stacked = _stacked(x, p) if x.flags.c_contiguous else None
    for block in blocks:
        if stacked is None:
            found = [part[block] for part in parts]
        else:  # strided reads once, then every step is dense
            found = list(np.ascontiguousarray(stacked[(*_all(p), block)]).reshape(
                p.area, -1, *out.shape[1:]))
        _greatest(found, out[block], which[block])
    if out.dtype.kind == "f" and np.isnan(np.min(out)):
        _point_at_nan(parts, out, which)
    return out, which


def _all(p: Plan) -> tuple[slice, ...]:
    return (slice(None),) * p.ndim


def _stacked(x: Array, p: Plan) -> Array:
    """A view (*kernel, N, C, *counts) of a row-major padded array."""
    n = p.ndim
    return windows(x, p).transpose(*range(2, 2 + n), 0, 1, *range(2 + n, 2 + 2 * n))


def _greatest(parts: list[Array], out: Array, which: Array) -> None:
    """The elementwise maximum of arrays, and which of them it comes from."""
    np.maximum(parts[0], parts[1], out=out)
    np.greater(parts[1], parts[0], out=which.view(np.bool_))
    for k in range(2, len(parts)):
        better = np.greater(parts[k], out).view(np.uint8)
        np.maximum(parts[k], out, out=out)
        np.multiply(better, np.uint8(k), out=better)
        np.maximum(which, better, out=which)


def _point_at_nan(parts: list[Array], out: Array, which: Array) -> None:
    """Where NaN won, no comparison says so: point at the first one."""
    for k in range(len(parts) - 1, -1, -1):
        np.copyto(which, np.uint8(k), where=np.isnan(parts[k]))


@lru_cache(maxsize=256)
def _window_places(p: Plan) -> tuple[Array, Array]:
    """Flat places in a padded plane: of each window's first element; of each element from there."""
    steps = np.array([prod(p.padded[d + 1 :]) for d in range(p.ndim)])
    grid = np.indices(p.counts).reshape(p.ndim, -1).T * p.stride
    within = np.indices(p.kernel).reshape(p.ndim, -1).T * p.dilation
    return grid @ steps, within @ steps


def _places(which: Array, p: Plan) -> Array:
    """(N * C, windows): where in the flattened padded planes the elements lie."""
    first, within = _window_places(p)
    planes = which.shape[0] * which.shape[1]
    places: Array = within.take(which.reshape(planes, p.length))
    places += first
    places += np.arange(0, planes * prod(p.padded), prod(p.padded))[:, None]
    return places


@kernels.register_fresh("max_pool_scatter")
def max_pool_scatter(
    grad: Any, which: Any, size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Any:
    """Written by index; added up by index where windows overlap."""
    p = _plan(grad, size[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if p is None or grad.dtype.kind != "f" or which.dtype != np.uint8:
        return NotImplemented
    places = _places(which, p).reshape(-1)
    shape = (*size[:2], *p.padded)
    if all(s >= d * (k - 1) + 1 for s, d, k in zip(p.stride, p.dilation, p.kernel, strict=True)):
        dx = np.zeros(prod(shape), grad.dtype)
        dx[places] = grad.reshape(-1)
    else:
        dx = np.bincount(places, grad.reshape(-1), prod(shape)).astype(grad.dtype)
    return unpadded(dx.reshape(shape), p)


@kernels.register_fresh("max_pool_gather")
def max_pool_gather(
    self: Any, which: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Any:
    """Read by index."""
    p = _plan(self, self.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if p is None or which.dtype != np.uint8:
        return NotImplemented
    return padded(self, p).reshape(-1).take(_places(which, p)).reshape(which.shape)
