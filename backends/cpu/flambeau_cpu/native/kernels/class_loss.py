"""Losses of classes: rows of scores are read once per pass."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import dense

kernels = NativeTable()
_c = Library("class_loss", {
    "fb_class_loss": "Iaaaaaaiiidi", "fb_class_loss_backward": "Iaaaaaaaiiidi"})
_CODES: Final = {"f": 0, "d": 1}
_REDUCTIONS: Final = {"none": 0, "mean": 1, "sum": 2}


def _is_fit(shape: tuple[int, ...], what: Any, target: Any, weight: Any) -> bool:
    """Whether target and weight belong to scores of a shape that are not empty."""
    if target.dtype.char not in "lq" or 0 in shape or not shape or (
            weight is not None and weight.dtype is not what):
        return False
    samples = shape[:1] + shape[2:] if len(shape) > 1 else ()
    return bool(target.shape == samples) and (
        weight is None or (weight.shape == shape[:2][-1:] and weight.flags.c_contiguous))


def _rows(x: Any) -> Any:
    """The array with classes innermost, as in memory."""
    return dense(x if x.ndim <= 2 else np.moveaxis(x, 1, -1))


def _forward(
    name: str, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str,
    label_smoothing: float,
) -> Any:
    c, code, kind = _c(), _CODES.get(x.dtype.char), _REDUCTIONS.get(reduction)
    if c is None or code is None or kind is None or not _is_fit(x.shape, x.dtype, target, weight):
        return NotImplemented
    what, rows, target = x.dtype, _rows(x), dense(target)
    loss = np.empty((), what) if kind else empty(target.shape, what)
    total = np.empty((), what)
    normalizer = None if name == "nll" else empty(target.shape, what)
    done = c.fb_class_loss(loss, normalizer, total, rows, target, weight, rows.shape[-1],
                           ignore_index, kind, label_smoothing, code)
    return (loss, normalizer, total) if done else NotImplemented


def _backward(
    grad: Any, shape: tuple[int, ...], x: Any, normalizer: Any, total: Any, target: Any,
    weight: Any, ignore_index: int, reduction: str, label_smoothing: float,
) -> Any:
    c, what = _c(), grad.dtype
    code, kind = _CODES.get(what.char), _REDUCTIONS.get(reduction)
    if c is None or code is None or kind is None or not _is_fit(shape, what, target, weight) or (
            total.dtype is not what or total.ndim or grad.shape != (() if kind else target.shape)):
        return NotImplemented
    rows = None if x is None else _rows(x)
    placed = shape if len(shape) <= 2 else (shape[0], *shape[2:], shape[1])
    out = empty(placed, what)
    done = c.fb_class_loss_backward(
        out, dense(grad), rows, None if x is None else dense(normalizer), dense(total),
        dense(target), weight, placed[-1], ignore_index, kind, label_smoothing, code)
    if not done:
        return NotImplemented
    return out if len(shape) <= 2 else np.moveaxis(out, -1, 1)


@kernels.fresh_form("class_nll", at=1)
def class_nll(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    """Scores are log-probabilities already."""
    found = _forward("nll", input, target, weight, ignore_index, reduction, 0.0)
    return found if found is NotImplemented else found[::2]


@kernels.fresh_form("class_nll_backward", at=1)
def class_nll_backward(
    grad: Any, total: Any, target: Any, weight: Any, shape: Any, ignore_index: int, reduction: str
) -> Any:
    """One number per row."""
    return _backward(grad, tuple(shape), None, None, total, target, weight, ignore_index,
                     reduction, 0.0)


@kernels.fresh_form("class_cross_entropy", at=1)
def class_cross_entropy(
    input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, label_smoothing: float
) -> Any:
    """The logarithm of each row's sum of exponentials is kept."""
    return _forward("cross_entropy", input, target, weight, ignore_index, reduction,
                    label_smoothing)


@kernels.fresh_form("class_cross_entropy_backward", at=1)
def class_cross_entropy_backward(
    grad: Any, input: Any, normalizer: Any, total: Any, target: Any, weight: Any,
    ignore_index: int, reduction: str, label_smoothing: float,
) -> Any:
    """Probabilities are made again."""
    if input.dtype is not grad.dtype or normalizer.dtype is not grad.dtype:
        return NotImplemented
    return _backward(grad, input.shape, input, normalizer, total, target, weight, ignore_index,
                     reduction, label_smoothing)
