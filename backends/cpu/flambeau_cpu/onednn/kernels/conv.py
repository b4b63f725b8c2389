"""Convolutions: always computed with channels innermost, in parts of a few images.

Plain images are turned around part by part, while they are in the cache.  The weight goes into
the order that oneDNN wants once per call.  Sums over images, which the gradient of the weight is,
are sums of the parts' results in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.onednn.choice import is_single, table
from flambeau_cpu.onednn.library import Unimplemented, api
from flambeau_cpu.onednn.primitive import (
    BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    SRC,
    WEIGHTS,
    Builder,
    Description,
    Form,
    Ints,
    Primitive,
    builder,
)
from flambeau_cpu.onednn.threads import POOL, ranges
from flambeau_cpu.onednn.windows import Windows, dense, images, is_last, new_images

kernels = table()
_BYTES: Final = np.dtype(np.uint8)
_SINGLE: Final = np.dtype(np.float32)
_TRAINING, _DIRECT = 64, 1
_SPEED: Final = 6e4
"""Multiplications in a microsecond, roughly: for how many parts there are."""
_LARGE_WEIGHT: Final = 4
"""Each part of a gradient of a weight has so many times the weight's bytes to read, at least."""


class Problem(NamedTuple):
    """A convolution by its shapes.

    Attributes:
        x: of the input.
        w: of the weight (O, C / groups, *kernel).
        y: of the output.
    """

    x: Ints
    w: Ints
    y: Ints
    windows: Windows
    groups: int

    def of(self, count: int) -> Problem:
        """The same for a part of the images."""
        return self._replace(x=(count, *self.x[1:]), y=(count, *self.y[1:]))

    @property
    def cost(self) -> float:
        """Microseconds on one thread, roughly."""
        return prod(self.y) * prod(self.w[1:]) / _SPEED

    def weight(self, strides: Ints | None) -> Form:
        """The form of a weight with strides, with a dimension of groups if there are any."""
        if self.groups == 1:
            return Form(self.w, strides)
        outs = self.w[0] // self.groups
        shape = (self.groups, outs, *self.w[1:])
        return Form(shape, None if strides is None else (outs * strides[0], *strides))


def _problem(
    x: Ints, w: Ints, y: Ints, stride: Any, padding: Any, dilation: Any, groups: int
) -> Problem | None:
    if not 3 <= len(x) == len(w) == len(y) <= 5 or groups < 1 or w[0] % groups or (
        x[0] != y[0] or x[1] != w[1] * groups or y[1] != w[0]):
        return None
    windows = Windows.over(x[2:], w[2:], y[2:], stride, padding, dilation)
    return None if windows is None else Problem(x, w, y, windows, groups)


# ---- making ------------------------------------------------------------------------------------
def _forward(b: Builder, p: Problem, weight: Any, bias: bool) -> Description:
    return b.describe(
        "convolution_forward", _TRAINING, _DIRECT, images(p.x, True), weight,
        Form.dense((p.w[0],)) if bias else None, images(p.y, True), *p.windows.arguments())


def _backward(b: Builder, p: Problem, name: str, *forms: Any) -> Description:
    hint = _forward(b, p, p.weight(None), False)
    return b.describe(
        f"convolution_backward_{name}", _DIRECT, *forms, *p.windows.arguments(), hint)


class Part:
    """The code for some images: turn them around if they are plain, compute, turn back."""

    def __init__(
        self, b: Builder, main: Description, places: Ints, sources: tuple[Form | None, ...],
        target: Form | None,
    ) -> None:
        self.main = Primitive(main, *places)
        self.turns = [
            None if s is None else (b.reorder(s, images(s.shape, True)), 4 * prod(s.shape))
            for s in sources
        ]
        self.turn_back = None if target is None else (
            b.reorder(images(target.shape, True), target), 4 * prod(target.shape))

    def __call__(self, sources: tuple[int, ...], others: tuple[int, ...], target: int) -> None:
        """Compute from addresses of images and of other arrays."""
        kept, given = [], []
        for turn, source in zip(self.turns, sources, strict=True):
            if turn is not None:
                kept.append(empty((turn[1],), _BYTES))
                turn[0](source, source := kept[-1].ctypes.data)
            given.append(source)
        if self.turn_back is None:
            self.main(*given, *others, target)
            return
        result = empty((self.turn_back[1],), _BYTES)
        self.main(*given, *others, result.ctypes.data)
        self.turn_back[0](result.ctypes.data, target)


class Plan:
    """Parts by ranges of images, and how the weight gets into the wanted order and back."""

    def __init__(self, cut: tuple[tuple[int, int], ...]) -> None:
        self.cut = cut
        self.parts: dict[int, Part] = {}
        self.weight: Primitive | None = None
        self.weight_nbytes = 0


def _form(shape: Ints, plain: bool) -> Form | None:
    return images(shape, False) if plain else None


Describe = Callable[[Builder, Problem, Any], Description]


def _planned(
    p: Problem, cut: tuple[tuple[int, int], ...], strides: Ints, describe: Describe,
    make: Callable[[Builder, Problem, Description], Part], place: int,
) -> Plan | None:
    """A plan: the first part decides on the order of the weight; None if oneDNN has no code."""
    plan, order = Plan(cut), None
    try:
        with builder() as b:
            for start, stop in cut:
                if stop - start in plan.parts:
                    continue
                part = p.of(stop - start)
                main = describe(b, part, p.weight(None) if order is None else order)
                if order is None:
                    order = main.descriptor(place)
                    plan.weight_nbytes = main.nbytes(place)
                    given = p.weight(strides)
                    if place == DIFF_WEIGHTS:
                        plan.weight = b.reorder(order, given)
                    elif not b.agree(given, order):
                        plan.weight = b.reorder(given, order)
                plan.parts[stop - start] = make(b, part, main)
    except Unimplemented:
        return None
    return plan


@lru_cache(maxsize=512)
def _forward_plan(p: Problem, strides: Ints, bias: bool, plain: bool) -> Plan | None:
    places = (SRC, WEIGHTS, BIAS, DST) if bias else (SRC, WEIGHTS, DST)
    return _planned(
        p, ranges(p.x[0], p.cost), strides, partial(_forward_of, bias),
        lambda b, q, d: Part(b, d, places, (_form(q.x, plain),), _form(q.y, plain)), WEIGHTS)


def _forward_of(bias: bool, b: Builder, p: Problem, weight: Any) -> Description:
    return _forward(b, p, weight, bias)


@lru_cache(maxsize=512)
def _input_grad_plan(p: Problem, strides: Ints, plain: bool) -> Plan | None:
    return _planned(
        p, ranges(p.x[0], p.cost), strides,
        lambda b, q, w: _backward(b, q, "data", images(q.x, True), w, images(q.y, True)),
        lambda b, q, d: Part(b, d, (DIFF_DST, WEIGHTS, DIFF_SRC), (_form(q.y, plain),),
                             _form(q.x, plain)), WEIGHTS)


@lru_cache(maxsize=512)
def _weight_grad_plan(p: Problem, plain_grad: bool, plain_input: bool) -> Plan | None:
    read = prod(p.x) + prod(p.y)
    most = max(1, min(16, read // (_LARGE_WEIGHT * prod(p.w))))
    return _planned(
        p, ranges(p.x[0], p.cost, most), Form.dense(p.w).strides or (),
        lambda b, q, w: _backward(b, q, "weights", images(q.x, True), w, None, images(q.y, True)),
        lambda b, q, d: Part(b, d, (DIFF_DST, SRC, DIFF_WEIGHTS), (
            _form(q.y, plain_grad), _form(q.x, plain_input)), None), DIFF_WEIGHTS)


# ---- running -----------------------------------------------------------------------------------
def _by_images(plan: Plan, source: Any, weight: Any, bias: Any, out: Any) -> None:
    """Run a plan from images to images."""
    ordered = weight
    if plan.weight is not None:
        ordered = empty((plan.weight_nbytes,), _BYTES)
        POOL.run([partial(plan.weight, weight.ctypes.data, ordered.ctypes.data)])
    others = (ordered.ctypes.data,) if bias is None else (ordered.ctypes.data, bias.ctypes.data)
    at, to = source.ctypes.data, out.ctypes.data
    step, step_to = source.strides[0], out.strides[0]
    POOL.run([
        partial(plan.parts[j - i], (at + i * step,), others, to + i * step_to)
        for i, j in plan.cut
    ])


@kernels.fresh_form("convolution", at=4096)
def convolution(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Any:
    """Forward, straight or transposed."""
    if not is_single(input, weight, bias) or api() is None or input.ndim != weight.ndim:
        return NotImplemented
    if transposed:
        return _transposed(input, weight, bias, stride, padding, dilation, output_padding, groups)
    if not input.ndim - 2 == len(stride) == len(padding) == len(dilation):
        return NotImplemented
    counts = tuple(
        (n + 2 * q - d * (k - 1) - 1) // s + 1 if s else 0
        for n, k, s, q, d in zip(
            input.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True))
    y = (input.shape[0], weight.shape[0], *counts)
    p = _problem(input.shape, weight.shape, y, stride, padding, dilation, groups)
    if p is None or (bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    input, weight = dense(input), dense(weight)
    last = is_last(input)
    plan = _forward_plan(p, Form.of(weight).strides, bias is not None, not last)
    if plan is None:
        return NotImplemented
    out = new_images(y, last)
    bias = bias if bias is None else np.ascontiguousarray(bias)
    _by_images(plan, input, weight, bias, out)
    return out


def _transposed(
    x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, extra: Any, groups: int
) -> Any:
    """The adjoint of the straight one in its input, and the bias."""
    if not x.ndim - 2 == len(stride) == len(padding) == len(dilation) == len(extra):
        return NotImplemented
    sizes = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip(
            x.shape[2:], stride, padding, dilation, w.shape[2:], extra, strict=True))
    if min(sizes, default=0) < 1 or (bias is not None and bias.shape != (w.shape[1] * groups,)):
        return NotImplemented
    shape = (x.shape[0], w.shape[1] * groups, *sizes)
    y = convolution_input_grad(x, w, shape, stride, padding, dilation, groups)
    if bias is None or y is NotImplemented:
        return y
    return np.add(y, bias.reshape(-1, *(1,) * len(sizes)), y)


@kernels.fresh_form("convolution_input_grad", at=4096)
def convolution_input_grad(
    grad: Any, weight: Any, input_size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The adjoint of the forward in its input."""
    if not is_single(grad, weight) or api() is None:
        return NotImplemented
    x = tuple(input_size)
    p = _problem(x, weight.shape, grad.shape, stride, padding, dilation, groups)
    if p is None:
        return NotImplemented
    grad, weight = dense(grad), dense(weight)
    last = is_last(grad)
    plan = _input_grad_plan(p, Form.of(weight).strides, not last)
    if plan is None:
        return NotImplemented
    out = new_images(x, last)
    _by_images(plan, grad, weight, None, out)
    return out


@kernels.fresh_form("convolution_weight_grad", at=4096)
def convolution_weight_grad(
    grad: Any, input: Any, weight_size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The adjoint of the forward in its weight: parts of the images, then their sum."""
    if not is_single(grad, input) or api() is None:
        return NotImplemented
    p = _problem(input.shape, tuple(weight_size), grad.shape, stride, padding, dilation, groups)
    if p is None:
        return NotImplemented
    grad, input = dense(grad), dense(input)
    plan = _weight_grad_plan(p, not is_last(grad), not is_last(input))
    if plan is None or plan.weight is None:
        return NotImplemented
    sums = [empty((plan.weight_nbytes // 4,), _SINGLE) for _ in plan.cut]
    g, x = grad.ctypes.data, input.ctypes.data
    POOL.run([
        partial(plan.parts[j - i], (g + i * grad.strides[0], x + i * input.strides[0]), (),
                into.ctypes.data)
        for (i, j), into in zip(plan.cut, sums, strict=True)
    ])
    for more in sums[1:]:
        np.add(sums[0], more, sums[0])
    out = empty(p.w, _SINGLE)
    POOL.run([partial(plan.weight, sums[0].ctypes.data, out.ctypes.data)])
    return out
