"""Normalisation of rows."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, Final, NamedTuple

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
    Form,
    Ints,
    Primitive,
)
from flambeau_cpu.onednn.rows import Cut, cut, run

kernels = table()
_TRAINING, _BACKWARD = 64, 128
_USE_SCALE, _USE_SHIFT = 2, 4
_COST: Final = 0.3e-3  # microseconds for an element


class _Rows(NamedTuple):
    """What a plan is for."""

    rows: int
    width: int
    eps: float
    scaled: bool
    shifted: bool

    @property
    def flags(self) -> int:
        return _USE_SCALE * self.scaled + _USE_SHIFT * self.shifted

    def forward(self, b: Builder, count: int) -> Any:
        """The description for so many rows."""
        form = Form.dense((count, self.width))
        return b.describe("layer_normalization_forward", _TRAINING, form, form,
                          Form.dense((count,)), self.eps, self.flags)


@lru_cache(maxsize=256)
def _forward_plan(rows: _Rows) -> Cut | None:
    places: Ints = (SRC, DST, MEAN, VARIANCE, *(SCALE,) * rows.scaled, *(SHIFT,) * rows.shifted)
    return cut(rows.rows, rows.rows * rows.width * _COST,
               lambda b, count: Primitive(rows.forward(b, count), *places))


@lru_cache(maxsize=256)
def _backward_plan(rows: _Rows) -> Cut | None:
    """Each part writes its own sums over rows."""
    places: Ints = (SRC, DIFF_DST, DIFF_SRC, MEAN, VARIANCE, DIFF_SCALE, DIFF_SHIFT,
                    SCALE, SHIFT)

    def make(b: Builder, count: int) -> Primitive:
        form = Form.dense((count, rows.width))
        return Primitive(b.describe(
            "layer_normalization_backward", _BACKWARD, form, form, form, Form.dense((count,)),
            rows.eps, rows.flags, rows.forward(b, count)), *places)

    return cut(rows.rows, 2 * rows.rows * rows.width * _COST, make)


@kernels.fresh_form("native_layer_norm", at=16384)
def native_layer_norm(input: Any, weight: Any, bias: Any, normalized_shape: Any, eps: float) -> Any:
    """The result, the mean and the reciprocal of the standard deviation."""
    shape = tuple(normalized_shape)
    if not is_single(input, weight, bias) or api() is None or not shape or (
        input.shape[-len(shape) :] != shape) or not input.flags.c_contiguous or any(
        p is not None and p.shape != shape for p in (weight, bias)):
        return NotImplemented
    width = prod(shape)
    count = input.size // width
    plan = _forward_plan(_Rows(count, width, eps, weight is not None, bias is not None))
    if plan is None:
        return NotImplemented
    out = empty(input.shape, input.dtype)
    mean, var = empty((count,), input.dtype), empty((count,), input.dtype)
    common = [np.ascontiguousarray(p) for p in (weight, bias) if p is not None]
    row = 4 * width
    run(plan, (input, out, mean, var), (row, row, 4, 4), (), tuple(common))
    np.add(var, eps, var)
    np.sqrt(var, var)
    np.reciprocal(var, var)
    stats = (*input.shape[: input.ndim - len(shape)], *(1,) * len(shape))
    return out, mean.reshape(stats), var.reshape(stats)


@kernels.fresh_form("layer_norm_grads", at=16384)
def layer_norm_grads(
    grad: Any, input: Any, mean: Any, rstd: Any, weight: Any, count: int, eps: float,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """All three gradients; ``eps`` is in ``rstd`` already."""
    given = (input, grad, mean, rstd)
    if not is_single(*given, weight) or api() is None or not count or any(
        not a.flags.c_contiguous for a in given) or grad.shape != input.shape:
        return NotImplemented
    shape = input.shape[input.ndim - count :]
    width = prod(shape)
    rows = input.size // width
    if mean.size != rows or rstd.size != rows or (weight is not None and weight.size != width):
        return NotImplemented
    plan = _backward_plan(_Rows(rows, width, 0.0, True, True))
    if plan is None:
        return NotImplemented
    var = np.reciprocal(np.square(rstd))
    scale = np.ones(width, input.dtype) if weight is None else np.ascontiguousarray(weight)
    dx = empty(input.shape, input.dtype)
    sums = empty((2, len(plan), width), input.dtype)
    row = 4 * width
    run(plan, (input, grad, dx, mean, var), (row, row, row, 4, 4), tuple(sums),
        (scale, scale))  # a shift is asked for, but not read
    dw, db = np.add.reduce(sums, 1)
    return (dx if for_input else None, dw.reshape(shape) if for_weight else None,
            db.reshape(shape) if for_bias else None)
