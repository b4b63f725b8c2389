"""Convolutions as matrix products.

Windows are copied into a block that fits the cache, then multiplied, block by block: by channels
(a column per window, results come out as (N, C, ...)) or by pixels (a row per window, channels
innermost), which is faster where an image has few windows and for channels-last memory.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.matmul import in_blas
from flambeau_cpu.windows import (
    BLOCK,
    Array,
    Ints,
    Plan,
    fold,
    fold_pixels,
    padded,
    padded_pixels,
    pixel_windows,
    plan,
    unpadded,
    windows,
)

kernels = KernelTable()
FEW_WINDOWS: Final = 160
"""Up to so many windows per image, rows of pixels are faster than columns of channels."""
ROWS: Final = 512
"""A product by pixels has at least so many rows, if there are: each reads the whole weight."""


# ---- choosing ----------------------------------------------------------------------------------
def _is_last(x: Array) -> bool:
    """Whether channels are innermost in memory."""
    return (
        x.ndim > 3 and x.shape[1] > 1 and x.strides[1] == x.itemsize
        and not x.flags.c_contiguous and np.moveaxis(x, 1, -1).flags.c_contiguous
    )


def _is_depthwise(channels: int, w: Any, groups: int) -> bool:
    return groups == channels and groups > 1 and w[1] == 1


@kernels.register_fresh("convolution")
def convolution(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Any:
    """Forward, straight or transposed."""
    x, w = input.shape, weight.shape
    if len(x) != len(w) or len(x) < 3 or groups < 1 or not in_blas(input, weight, bias):
        return NotImplemented
    if transposed:
        return _transposed(input, weight, bias, tuple(stride), tuple(padding), tuple(dilation),
                           tuple(output_padding), groups)
    p = plan(x[2:], w[2:], tuple(stride), tuple(padding), tuple(dilation))
    if p is None or x[1] != w[1] * groups or w[0] % groups or not w[0] or not weight.size or (
        bias is not None and bias.shape != w[:1]):
        return NotImplemented
    last = _is_last(input)
    if p.area == 1 and p.is_whole and groups == 1 and not last:
        return _pointwise(input, weight, bias, p)
    if _is_depthwise(x[1], w, groups):
        return _depthwise(input, weight, bias, p)
    if groups == 1 and (last or p.length <= FEW_WINDOWS):
        return _by_pixels(input, weight, bias, p, last)
    return _by_channels(input, weight, bias, p, groups)


@kernels.register_fresh("convolution_input_grad")
def convolution_input_grad(
    grad: Any, weight: Any, input_size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The adjoint of the forward in its input."""
    size = tuple(input_size)
    p = plan(size[2:], weight.shape[2:], tuple(stride), tuple(padding), tuple(dilation))
    if p is None or not in_blas(grad, weight) or not grad.size or not weight.size:
        return NotImplemented
    if grad.shape[2:] != p.counts:  # output padding leaves room for windows that are not there
        return NotImplemented
    if _is_depthwise(size[1], weight.shape, groups):
        return _depthwise_input_grad(grad, weight, size, p)
    outs, channels = weight.shape[:2]
    if groups == 1 and outs <= 2 * channels and _has_mirror(p):
        return _mirrored(grad, weight, p)
    if groups == 1 and p.length <= FEW_WINDOWS and channels >= 16:
        return _input_grad_by_pixels(grad, weight, p)
    return _input_grad_by_channels(grad, weight, size, p, groups)


@kernels.register_fresh("convolution_weight_grad")
def convolution_weight_grad(
    grad: Any, input: Any, weight_size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The adjoint of the forward in its weight."""
    size = tuple(weight_size)
    p = plan(input.shape[2:], size[2:], tuple(stride), tuple(padding), tuple(dilation))
    if p is None or not in_blas(grad, input) or not grad.size or not input.size:
        return NotImplemented
    if grad.shape[2:] != p.counts:
        return NotImplemented
    if _is_depthwise(input.shape[1], size, groups):
        return _depthwise_weight_grad(grad, input, size, p)
    if groups == 1 and (p.length <= FEW_WINDOWS or _is_last(input)):
        return _weight_grad_by_pixels(grad, input, size, p)
    return _weight_grad_by_channels(grad, input, size, p, groups)


@kernels.register_fresh("channel_sum")
def channel_sum(self: Any) -> Any:
    """Along the rows first, which lie dense in memory."""
    if self.ndim < 3 or self.dtype.kind != "f" or self.itemsize < 4 or not (
        self.size and self.flags.c_contiguous):
        return NotImplemented
    return np.add.reduce(np.add.reduce(self.reshape(*self.shape[:2], -1), 2), 0)


def _add_bias(y: Array, bias: Any) -> None:
    """To (N, C, anything), in place."""
    if bias is not None:
        np.add(y, bias[:, None], y)


def _blocks(count: int, elements: int, rows: int = 0) -> Any:
    """Ranges of images that fill a block, or ``ROWS`` rows if that is more."""
    step = max(1, BLOCK // max(elements, 1), -(-ROWS // rows) if rows else 0)
    return min(step, count), [(i, min(i + step, count)) for i in range(0, count, step)]


# ---- forward -----------------------------------------------------------------------------------
def _pointwise(x: Array, w: Array, bias: Any, p: Plan) -> Array:
    """Windows of one element: the product alone."""
    if p.length != prod(p.sizes):
        x = x[(slice(None), slice(None), *p.slices((0,) * p.ndim))]
    y: Array = np.matmul(w.reshape(w.shape[:2]), x.reshape(*x.shape[:2], -1))
    _add_bias(y, bias)
    return y.reshape(*y.shape[:2], *p.counts)


def _by_channels(x: Array, w: Array, bias: Any, p: Plan, groups: int) -> Array:
    count, channels, outs = x.shape[0], x.shape[1], w.shape[0]
    view = windows(padded(x, p), p)
    rows = w.reshape(groups, outs // groups, -1)
    y = np.empty((count, groups, outs // groups, p.length), x.dtype)
    step, blocks = _blocks(count, channels * p.area * p.length)
    block = np.empty((step, *view.shape[1:]), x.dtype)
    for i, j in blocks:
        part = block[: j - i]
        np.copyto(part, view[i:j])
        np.matmul(rows, part.reshape(j - i, groups, -1, p.length), y[i:j])
        if bias is not None:
            _add_bias(y[i:j].reshape(j - i, outs, p.length), bias)
    return y.reshape(count, outs, *p.counts)


def _by_pixels(x: Array, w: Array, bias: Any, p: Plan, last: bool) -> Array:
    """``last``: the result has channels innermost in memory, as the input has."""
    count, outs = x.shape[0], w.shape[0]
    view = pixel_windows(padded_pixels(x, p), p)
    rows = _pixel_weight(w)
    y = np.empty((count, p.length, outs) if last else (count, outs, p.length), x.dtype)
    step, blocks = _blocks(count, rows.shape[1] * p.length, p.length)
    block = np.empty((step, *view.shape[1:]), x.dtype)
    for i, j in blocks:
        part = block[: j - i]
        np.copyto(part, view[i:j])
        result = np.dot(part.reshape(-1, rows.shape[1]), rows.T)
        if bias is not None:
            np.add(result, bias, result)
        result = result.reshape(j - i, p.length, outs)
        np.copyto(y[i:j], result if last else result.transpose(0, 2, 1))
    if last:
        channels_last: Array = np.moveaxis(y.reshape(count, *p.counts, outs), -1, 1)
        return channels_last
    return y.reshape(count, outs, *p.counts)


def _pixel_weight(w: Array) -> Array:
    """(O, prod(kernel) * C): channels innermost."""
    return np.ascontiguousarray(np.moveaxis(w, 1, -1)).reshape(w.shape[0], -1)


def _transposed(
    x: Array, w: Array, bias: Any, stride: Ints, padding: Ints, dilation: Ints, extra: Ints,
    groups: int,
) -> Any:
    if not len(x.shape) - 2 == len(stride) == len(padding) == len(dilation) == len(extra):
        return NotImplemented
    sizes = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip(
            x.shape[2:], stride, padding, dilation, w.shape[2:], extra, strict=True)
    )
    outs = w.shape[1] * groups
    if x.shape[1] != w.shape[0] or w.shape[0] % groups or min(sizes) < 1 or any(
        not 0 <= e < s for e, s in zip(extra, stride, strict=True)) or (
        bias is not None and bias.shape != (outs,)):
        return NotImplemented
    y = convolution_input_grad(x, w, (x.shape[0], outs, *sizes), stride, padding, dilation, groups)
    if bias is None or y is NotImplemented:
        return y
    return np.add(y, bias.reshape(-1, *(1,) * len(sizes)), y)


# ---- gradients ---------------------------------------------------------------------------------
def _has_mirror(p: Plan) -> bool:
    """Whether the input's gradient is a convolution with the weight turned around."""
    return all(s == 1 for s in p.stride) and all(
        d * (k - 1) >= q for d, k, q in zip(p.dilation, p.kernel, p.padding, strict=True))


def _mirrored(g: Array, w: Array, p: Plan) -> Any:
    """The input's gradient as a convolution."""
    turned = np.flip(w, tuple(range(2, w.ndim))).swapaxes(0, 1)
    padding = tuple(
        d * (k - 1) - q for d, k, q in zip(p.dilation, p.kernel, p.padding, strict=True))
    return convolution(g, np.ascontiguousarray(turned), None, p.stride, padding, p.dilation,
                       False, (0,) * p.ndim, 1)


def _input_grad_by_channels(g: Array, w: Array, size: Ints, p: Plan, groups: int) -> Array:
    count, outs = g.shape[0], g.shape[1]
    rows = w.reshape(groups, outs // groups, -1).swapaxes(1, 2)
    grads = g.reshape(count, groups, outs // groups, p.length)
    dx = np.zeros((count, size[1], *p.padded), g.dtype)
    step, blocks = _blocks(count, rows.shape[1] * groups * p.length)
    block = np.empty((step, groups, rows.shape[1], p.length), g.dtype)
    for i, j in blocks:
        part = block[: j - i]
        np.matmul(rows, grads[i:j], part)
        fold(part.reshape(j - i, size[1], *p.kernel, *p.counts), p, dx[i:j])
    return unpadded(dx, p)


def _input_grad_by_pixels(g: Array, w: Array, p: Plan) -> Array:
    count, outs, channels = g.shape[0], g.shape[1], w.shape[1]
    rows = _pixel_weight(w)
    dx = np.zeros((count, *p.padded, channels), g.dtype)
    _, blocks = _blocks(count, rows.shape[1] * p.length, p.length)
    for i, j in blocks:
        part = np.dot(np.moveaxis(g[i:j], 1, -1).reshape(-1, outs), rows)
        fold_pixels(part.reshape(j - i, *p.counts, *p.kernel, channels), p, dx[i:j])
    return np.ascontiguousarray(np.moveaxis(unpadded(dx, p, 1), -1, 1))


def _weight_grad_by_channels(g: Array, x: Array, size: Ints, p: Plan, groups: int) -> Array:
    count, outs = g.shape[0], g.shape[1]
    view = windows(padded(x, p), p)
    grads = g.reshape(count, groups, outs // groups, p.length)
    dw = np.zeros((groups, outs // groups, prod(size[1:])), g.dtype)
    step, blocks = _blocks(count, x.shape[1] * p.area * p.length)
    block = np.empty((step, *view.shape[1:]), x.dtype)
    for i, j in blocks:
        part = block[: j - i]
        np.copyto(part, view[i:j])
        columns = part.reshape(j - i, groups, -1, p.length).swapaxes(2, 3)
        np.add(dw, np.add.reduce(np.matmul(grads[i:j], columns), 0), dw)
    return dw.reshape(size)


def _weight_grad_by_pixels(g: Array, x: Array, size: Ints, p: Plan) -> Array:
    outs = g.shape[1]
    view = pixel_windows(padded_pixels(x, p), p)
    width = prod(size[1:])
    step, blocks = _blocks(x.shape[0], width * p.length, p.length)
    block = np.empty((step, *view.shape[1:]), x.dtype)
    dw: Any = None
    for i, j in blocks:
        part = block[: j - i]
        np.copyto(part, view[i:j])
        rows = np.moveaxis(g[i:j], 1, 0).reshape(outs, -1)
        more = np.dot(rows, part.reshape(-1, width))
        dw = more if dw is None else np.add(dw, more, dw)
    dw = dw.reshape(outs, *p.kernel, size[1])
    return np.ascontiguousarray(np.moveaxis(dw, -1, 1))


# ---- depthwise ---------------------------------------------------------------------------------
def _per_channel(a: Array, channels: int) -> Array:
    """(N, C * M, ...) as (N, C, M, ...)."""
    return a.reshape(a.shape[0], channels, a.shape[1] // channels, *a.shape[2:])


def _taps(w: Array, channels: int, ndim: int) -> Array:
    """(*kernel, C, M, 1...): one factor per channel for each element of a window."""
    taps = np.moveaxis(w.reshape(channels, w.shape[0] // channels, *w.shape[2:]), (0, 1), (-2, -1))
    return taps.reshape(*taps.shape, *(1,) * ndim)


def _depthwise(x: Array, w: Array, bias: Any, p: Plan) -> Array:
    """A multiplication and an addition per element of the windows, by blocks of images."""
    count, channels = x.shape[:2]
    source = padded(x, p)[:, :, None]
    taps = _taps(w, channels, p.ndim)
    y = np.empty((count, channels, w.shape[0] // channels, *p.counts), x.dtype)
    step, blocks = _blocks(count, w.shape[0] * p.length)
    product = np.empty((step, *y.shape[1:]), x.dtype)
    lead = (slice(None),) * 3
    for i, j in blocks:
        into, more = y[i:j], product[: j - i]
        into[...] = 0 if bias is None else bias.reshape(taps.shape[p.ndim :])
        for offset in p.offsets():
            np.multiply(source[i:j][(*lead, *p.slices(offset))], taps[offset], more)
            np.add(into, more, into)
    return y.reshape(count, w.shape[0], *p.counts)


def _depthwise_input_grad(g: Array, w: Array, size: Ints, p: Plan) -> Array:
    count, channels = size[:2]
    grads, taps = _per_channel(g, channels), _taps(w, channels, p.ndim)
    dx = np.zeros((count, channels, *p.padded), g.dtype)
    step, blocks = _blocks(count, w.shape[0] * p.length)
    product = np.empty((step, *grads.shape[1:]), g.dtype)
    lead = (slice(None),) * 2
    for i, j in blocks:
        more = product[: j - i]
        for offset in p.offsets():
            np.multiply(grads[i:j], taps[offset], more)
            part = dx[i:j][(*lead, *p.slices(offset))]
            np.add(part, more[:, :, 0] if more.shape[2] == 1 else np.add.reduce(more, 2), part)
    return unpadded(dx, p)


def _depthwise_weight_grad(g: Array, x: Array, size: Ints, p: Plan) -> Array:
    count, channels = x.shape[:2]
    grads, source = _per_channel(g, channels), padded(x, p)
    spatial = "uvwxyz"[: p.ndim]
    sums = f"ncm{spatial},nc{spatial}->cm"
    dw = np.zeros((*p.kernel, channels, size[0] // channels), g.dtype)
    lead = (slice(None),) * 2
    for i, j in _blocks(count, size[0] * p.length)[1]:
        for offset in p.offsets():
            seen = source[i:j][(*lead, *p.slices(offset))]
            dw[offset] += np.einsum(sums, grads[i:j], seen)
    return np.ascontiguousarray(np.moveaxis(dw, (-2, -1), (0, 1))).reshape(size)
