"""Normalisation of channels over the batch: as planes, or innermost in memory."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import is_last, new, placed

kernels = NativeTable()
_c = Library("batch_norm", {
    "fb_batch_norm": "aaaaaaaiidi", "fb_batch_norm_backward": "aaaaaaaaaiidi"})
_TASK: Final = 1 << 15
_LINES: Final = 64
"""As in the source: from so many elements on, sums of rows are found in so many parts."""
_MOST: Final = 4096
"""The most channels: a line for them lies on the stack."""


def _is_fit(x: Any, *parameters: Any) -> bool:
    what = x.dtype
    if what.char not in "fd" or x.ndim < 2 or not x.size or x.shape[1] > _MOST:
        return False
    shape = (x.shape[1],)
    return all(
        p is None or (p.dtype is what and p.shape == shape and p.flags.c_contiguous)
        for p in parameters)


def _lines(x: Any) -> Any:
    return empty((_LINES, 2, x.shape[1]), x.dtype) if x.size > _TASK else None


@kernels.fresh_form("batch_norm_train", at=1)
def batch_norm_train(input: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Statistics, then one multiplication and one addition."""
    c = _c()
    if c is None or not _is_fit(input, weight, bias):
        return NotImplemented
    last, shape, what = is_last(input), (input.shape[1],), input.dtype
    out, mean, var = new(input.shape, what, last), np.empty(shape, what), np.empty(shape, what)
    c.fb_batch_norm(out, mean, var, _lines(input), placed(input, last), weight, bias, last, 1,
                    eps, what.itemsize == 8)
    return np.moveaxis(out, -1, 1) if last else out, mean, var


@kernels.fresh_form("batch_norm_eval", at=1)
def batch_norm_eval(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, eps: float
) -> Any:
    """One multiplication and one addition."""
    c = _c()
    if c is None or not _is_fit(input, weight, bias, running_mean, running_var):
        return NotImplemented
    last = is_last(input)
    out = new(input.shape, input.dtype, last)
    c.fb_batch_norm(out, running_mean, running_var, None, placed(input, last), weight, bias, last,
                    0, eps, out.itemsize == 8)
    return np.moveaxis(out, -1, 1) if last else out


@kernels.fresh_form("batch_norm_grads", at=1)
def batch_norm_grads(
    grad: Any, input: Any, mean: Any, var: Any, weight: Any, eps: float, training: bool,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """Two sums per channel; then gradient, centred input and a constant, each times a factor."""
    c = _c()
    if c is None or not _is_fit(input, mean, var, weight) or grad.dtype is not input.dtype or (
            grad.shape != input.shape):
        return NotImplemented
    last, shape, what = is_last(input), (input.shape[1],), input.dtype
    dx: Any = new(input.shape, input.dtype, last) if for_input else None
    dw = np.empty(shape, what) if for_weight else None
    db = np.empty(shape, what) if for_bias else None
    c.fb_batch_norm_backward(
        dx, dw, db, _lines(input), placed(grad, last), placed(input, last), mean, var, weight,
        last, training, eps, what.itemsize == 8)
    return np.moveaxis(dx, -1, 1) if last and for_input else dx, dw, db
