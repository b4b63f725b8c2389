"""Normalisation of channels over the batch, for images with channels innermost.

Of plain images NumPy's kernel is the quicker one.
In training the sums go over all images, so one thread computes them; parts would need a second
pass over the input.  With known statistics images are cut into parts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.onednn.choice import is_single, table
from flambeau_cpu.onednn.library import api
from flambeau_cpu.onednn.primitive import (
    DIFF_DST,
    DIFF_SCALE,
    DIFF_SHIFT,
    DIFF_SRC,
    DST,
    MEAN,
    SCALE,
    SHIFT,
    SRC,
    VARIANCE,
    Builder,
    Ints,
    Primitive,
)
from flambeau_cpu.onednn.rows import Cut, cut, run
from flambeau_cpu.onednn.windows import as_format, images, is_last, new_images

kernels = table()
_TRAINING, _BACKWARD = 64, 128
_KNOWN, _USE_SCALE, _USE_SHIFT = 1, 2, 4
_COST: Final = 0.2e-3  # microseconds for an element


def _forward(b: Builder, shape: Ints, eps: float, flags: int) -> Any:
    form = images(shape, True)
    return b.describe("batch_normalization_forward", _TRAINING, form, form, eps, flags)


@lru_cache(maxsize=256)
def _forward_plan(shape: Ints, eps: float, known: bool) -> Cut | None:
    flags = _USE_SCALE | _USE_SHIFT | (_KNOWN if known else 0)
    count, size = shape[0], np.prod(shape)
    return cut(
        count, size * _COST if known else 0.0,
        lambda b, n: Primitive(_forward(b, (n, *shape[1:]), eps, flags),
                               SRC, DST, MEAN, VARIANCE, SCALE, SHIFT))


@lru_cache(maxsize=256)
def _backward_plan(shape: Ints, eps: float, known: bool) -> Cut | None:
    flags = _USE_SCALE | _USE_SHIFT | (_KNOWN if known else 0)
    form = images(shape, True)

    def make(b: Builder, count: int) -> Primitive:
        return Primitive(b.describe(
            "batch_normalization_backward", _BACKWARD, form, form, form, eps, flags,
            _forward(b, shape, eps, flags)),
            SRC, DIFF_DST, DIFF_SRC, MEAN, VARIANCE, SCALE, DIFF_SCALE, DIFF_SHIFT)

    return cut(shape[0], 0.0, make)


def _fits(input: Any, *parameters: Any) -> bool:
    return is_single(input, *parameters) and 3 <= input.ndim <= 5 and (
        api() is not None and is_last(input)) and all(
        p is None or p.shape == input.shape[1:2] for p in parameters)


def _parameter(p: Any, channels: int, value: float) -> Any:
    return np.full(channels, value, np.float32) if p is None else np.ascontiguousarray(p)


def _normalize(input: Any, weight: Any, bias: Any, mean: Any, var: Any, eps: float) -> Any:
    """The result; ``mean`` and ``var`` are written unless they are known."""
    known, channels = mean is not None, input.shape[1]
    plan = _forward_plan(input.shape, eps, known)
    if plan is None:
        return NotImplemented
    mean = np.ascontiguousarray(mean) if known else empty((channels,), input.dtype)
    var = np.ascontiguousarray(var) if known else empty((channels,), input.dtype)
    out = new_images(input.shape, True)
    step = input.strides[0]
    run(plan, (input, out), (step, step), (), (
        mean, var, _parameter(weight, channels, 1), _parameter(bias, channels, 0)))
    return out, mean, var


@kernels.fresh_form("batch_norm_train", at=8192)
def batch_norm_train(input: Any, weight: Any, bias: Any, eps: float) -> Any:
    """The result, the mean and the variance."""
    if not _fits(input, weight, bias):
        return NotImplemented
    return _normalize(input, weight, bias, None, None, eps)


@kernels.fresh_form("batch_norm_eval", at=8192)
def batch_norm_eval(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, eps: float
) -> Any:
    """With statistics that are known."""
    if not _fits(input, weight, bias, running_mean, running_var):
        return NotImplemented
    result = _normalize(input, weight, bias, running_mean, running_var, eps)
    return result if result is NotImplemented else result[0]


@kernels.fresh_form("batch_norm_grads", at=8192)
def batch_norm_grads(
    grad: Any, input: Any, mean: Any, var: Any, weight: Any, eps: float, training: bool,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """All three gradients at once."""
    if not _fits(input, mean, var, weight) or not is_single(grad) or grad.shape != input.shape:
        return NotImplemented
    channels = input.shape[1]
    plan = _backward_plan(input.shape, eps, not training)
    if plan is None:
        return NotImplemented
    grad, dx = as_format(grad, True), new_images(input.shape, True)
    sums = empty((2, 1, channels), input.dtype)
    run(plan, (input, grad, dx), (0, 0, 0), (), (
        np.ascontiguousarray(mean), np.ascontiguousarray(var), _parameter(weight, channels, 1),
        sums[0], sums[1]))
    return (dx if for_input else None, sums[0, 0] if for_weight else None,
            sums[1, 0] if for_bias else None)
