"""Losses of values and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import override

kernels = KernelTable()
_WIDE: Final = (np.dtype(np.float32), np.dtype(np.float64))


def _fits(input: Any, *others: Any) -> bool:
    return input.dtype in _WIDE and all(
        t is None or (t.dtype == input.dtype and t.shape == input.shape) for t in others)


def _reduced(loss: Any, reduction: str) -> Any:
    if reduction == "none":
        return loss
    total = loss.sum()
    return total / loss.size if reduction == "mean" else total


def _scale(grad: Any, n: int, reduction: str) -> Any:
    return grad / n if reduction == "mean" and n else grad


# ---- functions of the difference ---------------------------------------------------------------
def _square_loss(d: Any, reduction: str) -> Any:
    if reduction == "none":
        return d * d
    flat = d.reshape(-1)
    total = flat.dot(flat)
    return total / d.size if reduction == "mean" else total


def _smooth(d: Any, beta: float) -> Any:
    size = np.abs(d)
    return np.where(size < beta, d * d * (0.5 / beta), size - 0.5 * beta)


def _huber(d: Any, beta: float) -> Any:
    size = np.abs(d)
    return np.where(size < beta, d * d * 0.5, (size - 0.5 * beta) * beta)


_VALUES: Final[dict[str, Callable[[Any, float], Any]]] = {
    "absolute": lambda d, beta: np.abs(d), "smooth": _smooth, "huber": _huber}
_SLOPES: Final[dict[str, Callable[[Any, float], Any]]] = {
    "square": lambda d, beta: d + d,
    "absolute": lambda d, beta: np.sign(d),
    "smooth": lambda d, beta: np.minimum(np.maximum(d / beta, -1), 1),
    "huber": lambda d, beta: np.minimum(np.maximum(d, -beta), beta),
}


def _difference_loss(input: Any, target: Any, form: str, beta: float, reduction: str) -> Any:
    if not _fits(input, target):
        return NotImplemented
    difference = np.subtract(input, target)
    if form == "square":
        return _square_loss(difference, reduction)
    return _reduced(_VALUES[form](difference, beta), reduction)


def _difference_loss_backward(
    grad: Any, input: Any, target: Any, form: str, beta: float, reduction: str
) -> Any:
    if not _fits(input, target) or grad.dtype != input.dtype:
        return NotImplemented
    slope = _SLOPES[form](np.subtract(input, target), beta)
    return np.multiply(slope, _scale(grad, input.size, reduction))


# ---- binary cross entropy ----------------------------------------------------------------------
def _logit_loss(input: Any, target: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    if not _fits(input, target) or weight is not None or pos_weight is not None:
        return NotImplemented
    loss = np.maximum(input, 0) - input * target + np.log1p(np.exp(-np.abs(input)))
    return _reduced(loss, reduction)


override(kernels, {
    "difference_loss": _difference_loss, "difference_loss_backward": _difference_loss_backward,
    "logit_loss": _logit_loss,
})
