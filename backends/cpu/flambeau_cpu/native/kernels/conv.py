"""Convolutions in up to three dimensions, and their gradients."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library
from flambeau_cpu.windows import plan

kernels = NativeTable()
Array = np.ndarray[Any, Any]
Ints = tuple[int, ...]
AT: Final = 256
"""Elements of the first argument from which on a call is worth it."""

_c: Final = Library("conv", {
    "fb_convolve_f32": "Iaaaaai", "fb_convolve_f64": "Iaaaaai",
    "fb_convolve_weight_f32": "Iaaaa", "fb_convolve_weight_f64": "Iaaaa",
    "fb_channel_sum_f32": "aai", "fb_channel_sum_f64": "aai"})
_WIDE: Final = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}
_HALF: Final = ("float16", "bfloat16")


@lru_cache(maxsize=4096)
def _options(
    x: Ints, w: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> tuple[Ints, Array] | None:
    """The shape of the output and the numbers that C reads; None for what does not fit."""
    n = len(x) - 2
    if not 1 <= n <= 3 or len(w) != n + 2 or groups < 1 or x[1] != w[1] * groups:
        return None
    p = plan(x[2:], w[2:], stride, padding, dilation)
    if p is None or w[0] % groups or not prod(x) or not prod(w):
        return None
    rows = np.zeros((3, 3), np.int64)
    rows[:, 0] = rows[:, 2] = 1
    at = {1: [2], 2: [0, 2], 3: [0, 1, 2]}[n]
    rows[at] = np.array([stride, padding, dilation]).T
    return (x[0], w[0], *p.counts), np.concatenate([[groups], rows.ravel()])


def _is_last(a: Array) -> bool:
    """Whether channels are innermost in memory, as `channels_last` has them."""
    return (
        a.ndim > 3 and a.strides[1] == a.itemsize and a.strides[-1] != a.itemsize
        and a.transpose(0, *range(2, a.ndim), 1).flags.c_contiguous)


def _output(shape: Ints, like: Array, weight: Array) -> Array:
    """Channels innermost if one of the operands has them there."""
    if len(shape) < 4 or not (_is_last(like) or _is_last(weight)):
        return empty(shape, like.dtype)
    return np.moveaxis(empty((shape[0], *shape[2:], shape[1]), like.dtype), -1, 1)


@kernels.fresh_form("convolution", at=AT)
def convolution(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Any:
    """Forward, straight or transposed."""
    d = input.dtype
    if weight.dtype != d or (bias is not None and bias.dtype != d):
        return NotImplemented
    if d not in _WIDE:
        return _in_single(convolution, (input, weight, bias), stride, padding, dilation,
                          transposed, output_padding, groups)
    if bias is not None and (bias.ndim != 1 or not bias.flags.c_contiguous):
        return NotImplemented
    options = tuple(stride), tuple(padding), tuple(dilation), groups
    if transposed:
        return _transposed(input, weight, bias, tuple(output_padding), *options)
    found = _options(input.shape, weight.shape, *options)
    if found is None or (bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    return _convolve(found[0], input, weight, bias, found[1], 0)


def _convolve(
    shape: Ints, x: Array, weight: Array, bias: Array | None, options: Array, back: int
) -> Any:
    c = _c()
    if c is None:
        return NotImplemented
    function = c.fb_convolve_f64 if _WIDE[x.dtype] else c.fb_convolve_f32
    y = _output(shape, x, weight)
    return y if function(y, x, weight, bias, options, back) else NotImplemented


def _transposed(
    x: Array, weight: Array, bias: Any, extra: Ints, stride: Ints, padding: Ints, dilation: Ints,
    groups: int,
) -> Any:
    if not len(x.shape) - 2 == len(weight.shape) - 2 == len(stride) == len(padding) == len(
            dilation) == len(extra):
        return NotImplemented
    shape = (x.shape[0], weight.shape[1] * groups, *(
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip(
            x.shape[2:], stride, padding, dilation, weight.shape[2:], extra, strict=True)))
    if min(shape[2:]) < 1 or (bias is not None and bias.shape != shape[1:2]) or any(
            not 0 <= e < s for e, s in zip(extra, stride, strict=True)):
        return NotImplemented
    found = _options(shape, weight.shape, stride, padding, dilation, groups)
    if found is None or found[0] != x.shape:
        return NotImplemented
    return _convolve(shape, x, weight, bias, found[1], 1)


@kernels.fresh_form("convolution_input_grad", at=AT)
def convolution_input_grad(
    grad: Any, weight: Any, input_size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The adjoint of the forward in its input."""
    if weight.dtype != grad.dtype:
        return NotImplemented
    if grad.dtype not in _WIDE:
        return _in_single(convolution_input_grad, (grad, weight), input_size, stride, padding,
                          dilation, groups)
    size = tuple(input_size)
    found = _options(size, weight.shape, tuple(stride), tuple(padding), tuple(dilation), groups)
    if found is None or found[0] != grad.shape:
        return NotImplemented
    return _convolve(size, grad, weight, None, found[1], 1)


@kernels.fresh_form("convolution_weight_grad", at=AT)
def convolution_weight_grad(
    grad: Any, input: Any, weight_size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The adjoint of the forward in its weight."""
    if input.dtype != grad.dtype:
        return NotImplemented
    if grad.dtype not in _WIDE:
        return _in_single(convolution_weight_grad, (grad, input), weight_size, stride, padding,
                          dilation, groups)
    size = tuple(weight_size)
    found = _options(input.shape, size, tuple(stride), tuple(padding), tuple(dilation), groups)
    if found is None or found[0] != grad.shape:
        return NotImplemented
    c = _c()
    if c is None:
        return NotImplemented
    function = c.fb_convolve_weight_f64 if _WIDE[grad.dtype] else c.fb_convolve_weight_f32
    result = _output(size, input, input)
    return result if function(result, grad, input, found[1]) else NotImplemented


@kernels.fresh_form("channel_sum", at=4096)
def channel_sum(self: Any) -> Any:
    """The gradient of a bias, of arrays whose positions are dense."""
    if self.dtype not in _WIDE or self.ndim < 3 or not self.flags.c_contiguous:
        return NotImplemented
    c = _c()
    if c is None or not self.size:
        return NotImplemented
    y = empty(self.shape[1:2], self.dtype)
    function = c.fb_channel_sum_f64 if _WIDE[self.dtype] else c.fb_channel_sum_f32
    function(y, self, prod(self.shape[2:]))
    return y


def _in_single(function: Any, operands: tuple[Any, ...], *rest: Any) -> Any:
    """Half precision, computed in single precision and rounded once."""
    d = operands[0].dtype
    if d.name not in _HALF:
        return NotImplemented
    result = function(*(a if a is None else a.astype(np.float32) for a in operands), *rest)
    return result if result is NotImplemented else result.astype(d)
