"""Normalisation of rows, each in the cache from its statistics to its result."""

from __future__ import annotations

from math import prod
from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import CODES, dense

kernels = NativeTable()
_c = Library("layer_norm", {
    "fb_norm": "Iaaaaaaiiidi", "fb_norm_backward": "Iaaaaaaaaaiiidi"})
_TASK: Final = 1 << 15
"""Elements of a task."""
_LINES: Final = 64
"""The most tasks of a backward pass: each has a line of sums of its own."""
_SINGLE: Final = np.dtype(np.float32)


def _width(x: Any, shape: tuple[int, ...], *parameters: Any) -> int:
    """Elements of a row; 0 if the arguments do not fit together."""
    count = len(shape)
    if not count or x.shape[-count:] != shape:
        return 0
    for p in parameters:
        if p is not None and (p.dtype != x.dtype or p.shape != shape):
            return 0
    return prod(shape) if x.size else 0


@kernels.fresh_form("native_layer_norm", at=1)
def native_layer_norm(input: Any, weight: Any, bias: Any, normalized_shape: Any, eps: float) -> Any:
    """Standardise, scale and shift."""
    c, code, shape = _c(), CODES.get(input.dtype.char), tuple(normalized_shape)
    n = _width(input, shape, weight, bias)
    if c is None or code is None or not n:
        return NotImplemented
    stats = (*input.shape[: -len(shape)], *(1,) * len(shape))
    out, mean, rstd = (empty(s, input.dtype) for s in (input.shape, stats, stats))
    if c.fb_norm(out, mean, rstd, dense(input), weight, bias, n, _TASK // n or 1, 1, eps, code):
        return out, mean, rstd
    return NotImplemented


@kernels.fresh_form("rms_norm", at=1)
def rms_norm(input: Any, weight: Any, normalized_shape: Any, eps: float | None) -> Any:
    """Divide by the root mean square, and scale."""
    c, code, shape = _c(), CODES.get(input.dtype.char), tuple(normalized_shape)
    n = _width(input, shape, weight)
    if c is None or code is None or not n or (code > 1 and eps is None):
        return NotImplemented
    out = empty(input.shape, input.dtype)
    least = float(np.finfo(input.dtype).eps) if eps is None else eps
    if c.fb_norm(out, None, None, dense(input), weight, None, n, _TASK // n or 1, 0, least, code):
        return out
    return NotImplemented


def _back(
    grad: Any, input: Any, mean: Any, rstd: Any, weight: Any, count: int, eps: float,
    needs: tuple[bool, bool, bool], is_centred: int,
) -> Any:
    c, code, shape = _c(), CODES.get(input.dtype.char), input.shape[input.ndim - count :]
    n = _width(input, shape, None if weight is None else weight.reshape(shape))
    if c is None or code is None or not n or grad.dtype != input.dtype or (
            grad.shape != input.shape):
        return NotImplemented
    rows, what = input.size // n, input.dtype
    per_task = max(_TASK // n, -(-rows // _LINES), 1)
    wide = _SINGLE if code > 1 else what
    partial = empty((-(-rows // per_task), 2, n), wide)
    dx = empty(input.shape, what) if needs[0] else None
    dw = empty(shape, wide) if needs[1] else None
    db = empty(shape, wide) if needs[2] else None
    if c.fb_norm_backward(dx, dw, db, partial, dense(grad), dense(input), mean, rstd, weight, n,
                          per_task, is_centred, eps, code):
        return dx, dw, db
    return NotImplemented


@kernels.fresh_form("layer_norm_grads", at=1)
def layer_norm_grads(
    grad: Any, input: Any, mean: Any, rstd: Any, weight: Any, count: int, eps: float,
    for_input: bool, for_weight: bool, for_bias: bool,
) -> Any:
    """All three gradients in one pass over two arrays."""
    if mean.dtype != input.dtype or rstd.dtype != input.dtype or (
            mean.shape != (*input.shape[: input.ndim - count], *(1,) * count)):
        return NotImplemented
    if input.itemsize == 2:  # they were rounded
        mean = rstd = None
    return _back(grad, input, mean, rstd, weight, count, eps,
                 (for_input, for_weight, for_bias), 1)


@kernels.fresh_form("rms_norm_grads", at=1)
def rms_norm_grads(
    grad: Any, input: Any, weight: Any, count: int, eps: float | None, for_input: bool,
    for_weight: bool,
) -> Any:
    """Both gradients in one pass over two arrays."""
    if eps is None:
        if input.dtype.char not in "fd":
            return NotImplemented
        eps = float(np.finfo(input.dtype).eps)
    found = _back(grad, input, None, None, weight, count, eps, (for_input, for_weight, False), 0)
    return found if found is NotImplemented else found[:2]
