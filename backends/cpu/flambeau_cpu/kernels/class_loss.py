"""Losses of classes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import override
from flambeau_cpu.rows import sum_along
from flambeau_cpu.rows import total as sum_of

kernels = KernelTable()
_WIDE: Final = (np.dtype(np.float32), np.dtype(np.float64))
_ranges: Final[dict[int, Any]] = {}
_MOST: Final = 4096
_maximum: Any = np.maximum.reduce


def _range(n: int) -> Any:
    """0 to n - 1; the short ones are remembered."""
    found = _ranges.get(n)
    if found is None:
        found = np.arange(n)
        if n <= _MOST:
            _ranges[n] = found
    return found


def _rows(x: Any) -> Any:
    """Classes last, everything else in one dimension before."""
    if x.ndim == 2:
        return x
    return x.reshape(1, -1) if x.ndim == 1 else np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def _as_input(rows: Any, shape: tuple[int, ...]) -> Any:
    """The inverse of :func:`_rows`."""
    if len(shape) <= 2:
        return rows.reshape(shape)
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def _fits(x: Any, target: Any, weight: Any) -> bool:
    return (
        x.ndim > 0 and x.size > 0 and x.dtype in _WIDE and target.dtype == np.int64
        and target.shape == (x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())
        and (weight is None or (weight.dtype == x.dtype and weight.shape == (x.shape[-1 if
             x.ndim == 1 else 1],)))
    )


def _classes(target: Any, count: int, ignore_index: int) -> tuple[Any, Any]:
    """Classes, the ignored ones replaced by 0, and which samples count (None: all).

    Raises:
        IndexError: for a class that does not exist.
    """
    target = np.ascontiguousarray(target).reshape(-1)
    outside = target.view(np.uint64) >= count  # negative ones are large without a sign
    if not outside.any():
        if not 0 <= ignore_index < count:
            return target, None
        used = target != ignore_index
        return target, None if used.all() else used
    used = target != ignore_index
    wrong = outside & used
    if wrong.any():
        raise IndexError(f"Target {target[wrong][0]} is out of bounds.")
    return np.where(used, target, 0), used


def _weights(classes: Any, used: Any, weight: Any, what: Any) -> Any:
    """The weight of each sample; None if all are 1."""
    if weight is None:
        return None if used is None else used.astype(what)
    return weight[classes] if used is None else weight[classes] * used


def _put_together(loss: Any, weights: Any, total: Any, reduction: str, shape: Any) -> Any:
    if reduction == "none":
        return loss.reshape(shape)
    return sum_of(loss) / total if reduction == "mean" else sum_of(loss)


def _nll(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    if not _fits(input, target, weight):
        return NotImplemented
    rows = _rows(input)
    classes, used = _classes(target, rows.shape[1], ignore_index)
    weights = _weights(classes, used, weight, input.dtype)
    loss = np.negative(rows[_range(len(rows)), classes])
    if weights is not None:
        loss = np.where(weights == 0, 0, loss * weights)
    total = input.dtype.type(len(rows)) if weights is None else weights.sum()
    return _put_together(loss, weights, total, reduction, target.shape), total


def _nll_backward(
    grad: Any, total: Any, target: Any, weight: Any, shape: Any, ignore_index: int, reduction: str
) -> Any:
    if target.dtype != np.int64 or grad.dtype not in _WIDE:
        return NotImplemented
    count = shape[0] if len(shape) == 1 else shape[1]
    classes, used = _classes(target, count, ignore_index)
    scale = _scale(grad, total, _weights(classes, used, weight, grad.dtype), reduction)
    rows = np.zeros((len(classes), count), grad.dtype)
    rows[_range(len(classes)), classes] = np.negative(scale)
    return _as_input(rows, tuple(shape))


def _scale(grad: Any, total: Any, weights: Any, reduction: str) -> Any:
    """What the gradient of each sample's loss is multiplied with: a number, or one per sample."""
    scale = grad.reshape(-1) if reduction == "none" else grad
    if reduction == "mean":
        scale = scale / total
    return scale if weights is None else np.where(weights == 0, 0, scale * weights)


def _cross_entropy(
    input: Any, target: Any, weight: Any, ignore_index: int, reduction: str,
    label_smoothing: float,
) -> Any:
    if not _fits(input, target, weight):
        return NotImplemented
    rows = _rows(input)
    n, count = rows.shape
    classes, used = _classes(target, count, ignore_index)
    weights = _weights(classes, used, weight, input.dtype)
    most = _maximum(rows, 1, None, None, True)
    shifted = np.subtract(rows, most)
    picked = shifted[_range(n), classes]
    smooth = _smooth(shifted, weight) if label_smoothing else None
    np.exp(shifted, shifted)
    logarithm = np.log(sum_along(shifted, 1)[:, 0])
    loss = logarithm - picked
    if weights is not None:
        loss = np.where(weights == 0, 0, loss * weights)
    if label_smoothing:
        row_weight = count if weight is None else weight.sum()
        spread = logarithm * row_weight - smooth
        spread = spread if used is None else np.where(used, spread, 0)
        loss = loss * (1 - label_smoothing) + spread * (label_smoothing / count)
    total = input.dtype.type(n) if weights is None else weights.sum()
    result = _put_together(loss, weights, total, reduction, target.shape)
    return result, np.add(logarithm, most[:, 0]).reshape(target.shape), total


def _smooth(shifted: Any, weight: Any) -> Any:
    """The (weighted) sum of the shifted inputs over classes."""
    return shifted.sum(1) if weight is None else shifted.dot(weight)


def _cross_entropy_backward(
    grad: Any, input: Any, normalizer: Any, total: Any, target: Any, weight: Any,
    ignore_index: int, reduction: str, label_smoothing: float,
) -> Any:
    if label_smoothing or not _fits(input, target, weight) or grad.dtype != input.dtype or (
        normalizer.shape != target.shape
    ):
        return NotImplemented
    rows = _rows(input)
    classes, used = _classes(target, rows.shape[1], ignore_index)
    scale = _scale(grad, total, _weights(classes, used, weight, grad.dtype), reduction)
    result = np.subtract(rows, normalizer.reshape(-1, 1))
    np.exp(result, result)
    np.multiply(result, scale[:, None] if scale.ndim else scale, result)
    result[_range(len(rows)), classes] -= scale
    return _as_input(result, input.shape)


override(kernels, {
    "class_nll": _nll, "class_nll_backward": _nll_backward,
    "class_cross_entropy": _cross_entropy,
    "class_cross_entropy_backward": _cross_entropy_backward,
})
