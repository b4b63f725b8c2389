"""Losses of values and probabilities."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from flambeau.autograd.grad_mode import no_grad
from flambeau.loss_reduction import (
    LEGACY,
    check_reduction,
    reduced,
    reduction_of,
    warn_of_broadcasting,
)
from flambeau.modes import every_sample
from flambeau.ops.activation import logsigmoid, sigmoid
from flambeau.ops.compare import where
from flambeau.ops.exponential import xlogy
from flambeau.ops.pointwise import abs, exp, log, sgn, sign
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

_F: dict[str, Any] = {"namespaces": ("nn.functional",), "method": False, "out": False}


def _pair_samples(make: Make) -> Iterator[Sample]:
    for reduction in ("mean", "sum", "none"):
        yield sample(make(3, 4), make(3, 4), reduction=reduction)


def _pair_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(ValueError, "is not a valid value for reduction", make(3), make(3),
                reduction="most")


# ---- functions of the difference ---------------------------------------------------------------
def _is_near(d: Tensor, beta: float) -> Any:
    return abs(d) < beta


_VALUES: dict[str, Callable[[Tensor, float], Any]] = {
    "square": lambda d, beta: d * d,
    "absolute": lambda d, beta: abs(d),
    "smooth": lambda d, beta: where(
        _is_near(d, beta), d * d * (0.5 / beta), abs(d) - 0.5 * beta),
    "huber": lambda d, beta: where(
        _is_near(d, beta), d * d * 0.5, (abs(d) - 0.5 * beta) * beta),
}
_SLOPES: dict[str, Callable[[Tensor, float], Any]] = {
    "square": lambda d, beta: d * 2,
    "absolute": lambda d, beta: sgn(d),
    "smooth": lambda d, beta: where(_is_near(d, beta), d / beta, sign(d)),
    "huber": lambda d, beta: where(_is_near(d, beta), d, sign(d) * beta),
}


def _difference_samples(make: Make) -> Iterator[Sample]:
    for kind in _VALUES:
        yield sample(make(3, 4), make(3, 4), kind, 0.7, "mean")
    yield sample(make(3, 4), make(4), "square", 1.0, "sum")
    yield sample(make(3, 4), make(3, 4), "square", 1.0, "none")


@composite(
    "difference_loss_backward(Tensor grad, Tensor input, Tensor target, str form, float beta, "
    "str reduction) -> Tensor",
    namespaces=("_internal",), method=False, out=False, template="fused",
    samples=lambda make: iter([
        sample(make(), make(3, 4), make(3, 4), "square", 1.0, "mean"),
        sample(make(3, 4), make(3, 4), make(3, 4), "huber", 0.7, "none")]),
)
def difference_loss_backward(
    grad: Tensor, input: Tensor, target: Tensor, form: str, beta: float, reduction: str
) -> Any:
    """The gradient of :func:`difference_loss` for ``input``."""
    difference = input - target
    slope = _SLOPES[form](difference, beta)
    return slope * (grad / max(difference.numel(), 1) if reduction == "mean" else grad)


def _difference_grad(
    g: Tensor, needs: Any, input: Tensor, target: Tensor, form: str, beta: float, reduction: str
) -> Any:
    found = difference_loss_backward(g, input, target, form, beta, reduction)
    return found if needs[0] else None, -found if needs[1] else None


@composite(
    "difference_loss(Tensor input, Tensor target, str form, float beta, str reduction) -> Tensor",
    namespaces=("_internal",), method=False, out=False, template="fused", joint=_difference_grad,
    samples=_difference_samples,
)
def difference_loss(input: Tensor, target: Tensor, form: str, beta: float, reduction: str) -> Any:
    """A function of the difference: "square", "absolute", "smooth" or "huber"."""
    return reduced(_VALUES[form](input - target, beta), reduction)


def _weighted(
    input: Tensor, target: Tensor, weight: Tensor, form: str, beta: float, reduction: str
) -> Any:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = difference_loss(input, target, form, beta, "none") * weight
    if check_reduction(reduction) == "mean" and form != "huber":
        return loss.sum() / weight.sum()
    return reduced(loss, reduction)


def _of_difference(
    input: Tensor, target: Tensor, weight: Tensor | None, form: str, beta: float, reduction: str
) -> Any:
    if input.shape != target.shape:
        warn_of_broadcasting(input, target)
    if weight is not None:
        return _weighted(input, target, weight, form, beta, reduction)
    return difference_loss(input, target, form, beta, check_reduction(reduction))


@composite(
    f"mse_loss(Tensor input, Tensor target, {LEGACY}, Tensor? weight=None) -> Tensor",
    template="front", samples=_pair_samples, errors=_pair_errors, **_F,
)
def mse_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Any:
    """The squared difference."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _of_difference(input, target, weight, "square", 1.0, reduction)


@composite(
    f"l1_loss(Tensor input, Tensor target, {LEGACY}, Tensor? weight=None) -> Tensor",
    template="front", samples=_pair_samples, errors=_pair_errors, **_F,
)
def l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Any:
    """The absolute difference."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _of_difference(input, target, weight, "absolute", 1.0, reduction)


def _smooth_errors(make: Make) -> Iterator[ErrorSample]:
    yield from _pair_errors(make)
    yield error(RuntimeError, "negative values for beta", make(3), make(3), beta=-1.0)


@composite(
    f"smooth_l1_loss(Tensor input, Tensor target, {LEGACY}, float beta=1.0) -> Tensor",
    template="front", samples=_pair_samples, errors=_smooth_errors, **_F,
)
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Any:
    """Squared below ``beta``, absolute above (Girshick, 2015)."""
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    reduction = reduction_of(size_average, reduce, reduction)
    return _of_difference(input, target, None, "smooth" if beta else "absolute", beta, reduction)


def _huber_errors(make: Make) -> Iterator[ErrorSample]:
    yield from _pair_errors(make)
    yield error(RuntimeError, "non-positive values for delta", make(3), make(3), delta=0.0)
    yield error(ValueError, "same size", make(3), make(3), weight=make(2))


@composite(
    "huber_loss(Tensor input, Tensor target, str reduction='mean', float delta=1.0, "
    "Tensor? weight=None) -> Tensor",
    template="front", samples=_pair_samples, errors=_huber_errors, **_F,
)
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
    weight: Tensor | None = None,
) -> Any:
    """Half the square below ``delta``, ``delta`` times the distance above."""
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    return _of_difference(input, target, weight, "huber", delta, reduction)


# ---- binary cross entropy ----------------------------------------------------------------------
def _positive_scale(target: Tensor, pos_weight: Tensor | None) -> Any:
    return 1 if pos_weight is None else (pos_weight - 1) * target + 1


def _logit_slopes(input: Tensor, target: Tensor, pos_weight: Tensor | None) -> tuple[Any, Any]:
    """Derivatives of (1 - t) x - (1 + (p - 1) t) log(sigmoid(x)) for x and for t."""
    s = sigmoid(input)
    if pos_weight is None:
        return s - target, -input
    for_target = -input - (pos_weight - 1) * logsigmoid(input)
    return (1 - target) - _positive_scale(target, pos_weight) * (1 - s), for_target


def _logit_grad(
    g: Tensor, needs: Any, input: Tensor, target: Tensor, weight: Tensor | None,
    pos_weight: Tensor | None, reduction: str,
) -> Any:
    if reduction == "mean":
        g = g / max(input.numel(), 1)
    if weight is not None:
        g = g * weight
    for_input, for_target = _logit_slopes(input, target, pos_weight)
    return g * for_input if needs[0] else None, g * for_target if needs[1] else None, None, None


@composite(
    "logit_loss(Tensor input, Tensor target, Tensor? weight, Tensor? pos_weight, str reduction) "
    "-> Tensor",
    namespaces=("_internal",), method=False, out=False, template="fused", joint=_logit_grad,
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4, low=0, high=1), None, None, "mean"),
        sample(make(3, 4), make(3, 4, low=0, high=1), make(4, low=0, requires_grad=False),
               make(4, low=0, requires_grad=False), "none")]),
)
def logit_loss(
    input: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None,
    reduction: str,
) -> Any:
    """Binary cross entropy of sigmoid(input), without overflow."""
    loss = (1 - target) * input - _positive_scale(target, pos_weight) * logsigmoid(input)
    return reduced(loss if weight is None else loss * weight, reduction)


@composite(
    "binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight=None, "
    f"{LEGACY}, Tensor? pos_weight=None) -> Tensor", template="front",
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4, low=0, high=1)),
        sample(make(3, 4), make(3, 4, low=0, high=1), make(4, low=0, requires_grad=False))]),
    errors=lambda make: iter([error(ValueError, "must be the same", make(3), make(4))]), **_F,
)
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Any:
    """Binary cross entropy of sigmoid(input), without overflow."""
    reduction = reduction_of(size_average, reduce, reduction)
    if input.shape != target.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    return logit_loss(input, target, weight, pos_weight, check_reduction(reduction))


def _probability_grad(
    g: Tensor, needs: Any, input: Tensor, target: Tensor, weight: Tensor | None, reduction: str
) -> Any:
    """(x - t) / (x (1 - x)), the denominator limited as PyTorch limits it."""
    if reduction == "mean":
        g = g / max(input.numel(), 1)
    if weight is not None:
        g = g * weight
    slope = (input - target) / ((1 - input) * input).clamp(min=1e-12) if needs[0] else None
    for_target = log(1 - input) - log(input) if needs[1] else None
    return (None if slope is None else g * slope,
            None if for_target is None else g * for_target, None)


@composite(
    "probability_loss(Tensor input, Tensor target, Tensor? weight, str reduction) -> Tensor",
    namespaces=("_internal",), method=False, out=False, template="fused", joint=_probability_grad,
    samples=lambda make: iter([sample(
        make(3, 4, low=0.1, high=0.9), make(3, 4, low=0, high=1), None, "mean")]),
)
def probability_loss(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str
) -> Any:
    """Binary cross entropy of probabilities; logarithms are limited to -100."""
    if not bool(every_sample((input >= 0) & (input <= 1)).all()):
        raise RuntimeError("all elements of input should be between 0 and 1")
    yes, no = log(input).clamp(min=-100), log(1 - input).clamp(min=-100)
    loss = (target - 1) * no - target * yes
    return reduced(loss if weight is None else loss * weight, reduction)


@composite(
    f"binary_cross_entropy(Tensor input, Tensor target, Tensor? weight=None, {LEGACY}) -> Tensor",
    template="front",
    samples=lambda make: iter([
        sample(make(3, 4, low=0.1, high=0.9), make(3, 4, low=0, high=1))]),
    errors=lambda make: iter([
        error(ValueError, "different to the input size", make(3), make(4)),
        error(RuntimeError, "between 0 and 1", make(3) + 5, make(3))]), **_F,
)
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:
    """Binary cross entropy of probabilities."""
    reduction = reduction_of(size_average, reduce, reduction)
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size.")
    if weight is not None:
        weight = weight.expand(input.shape)
    return probability_loss(input, target, weight, check_reduction(reduction))


# ---- likelihoods and divergence ----------------------------------------------------------------
@composite(
    "kl_div(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, "
    "str reduction='mean', bool log_target=False) -> Tensor",
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4, low=0.1, high=1), reduction="batchmean"),
        sample(make(3, 4), make(3, 4), reduction="sum", log_target=True)]),
    errors=_pair_errors, **_F,
)
def kl_div(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", log_target: bool = False,
) -> Any:
    """The divergence of ``target`` from ``exp(input)``."""
    reduction = reduction_of(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major "
            "release.", UserWarning, stacklevel=3)
    entropy = exp(target) * target if log_target else xlogy(target, target)
    loss = entropy - (exp(target) if log_target else target) * input
    if reduction == "batchmean":
        return loss.sum() / (input.shape[0] if input.ndim else 1)
    return reduced(loss, reduction)


@composite(
    "poisson_nll_loss(Tensor input, Tensor target, bool log_input=True, bool full=False, "
    "bool? size_average=None, float eps=1e-08, bool? reduce=None, str reduction='mean') -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4, low=0.1, high=3)),
                               sample(make(3, 4, low=0.1, high=2), make(3, 4, low=0.1, high=3),
                                      log_input=False, full=True)]),
    errors=_pair_errors, **_F,
)
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
    size_average: Any = None, eps: float = 1e-08, reduce: Any = None, reduction: str = "mean",
) -> Any:
    """Minus the log-likelihood of a Poisson distribution, with Stirling's term if ``full``."""
    reduction = reduction_of(size_average, reduce, reduction)
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        large = target > 1
        safe = where(large, target, 2.0)
        stirling = safe * log(safe) - safe + 0.5 * log(2 * math.pi * safe)
        loss = loss + where(large, stirling, 0.0)
    return reduced(loss, reduction)


def _variance_of(input: Tensor, var: Any) -> Any:
    """The variance in a shape that broadcasts with the input's."""
    if not isinstance(var, Tensor):
        return input.new_full(input.shape, float(var))
    if var.shape == input.shape:
        return var
    if var.shape == input.shape[:-1]:
        return var.unsqueeze(-1)
    differ = [n for n, m in zip(var.shape, input.shape, strict=False) if n != m]
    if var.ndim != input.ndim or differ != [1]:
        raise ValueError("var is of incorrect size")
    return var


@composite(
    "gaussian_nll_loss(Tensor input, Tensor target, Operand var, bool full=False, "
    "float eps=1e-06, str reduction='mean') -> Tensor",
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4), make(3, 4, low=0.5, high=2)),
        sample(make(3, 4), make(3, 4), make(3, 1, low=0.5, high=2), full=True)]),
    errors=lambda make: iter([
        error(ValueError, "incorrect size", make(3, 4), make(3, 4), make(2, low=0.5, high=2)),
        error(ValueError, "negative entry", make(3, 4), make(3, 4), -1.0),
        error(ValueError, "is not valid", make(3), make(3), 1.0, reduction="most")]),
    **_F,
)
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-06,
    reduction: str = "mean",
) -> Any:
    """Minus the log-likelihood of a normal distribution with the variance given."""
    if bool(every_sample(var < 0).any()) if isinstance(var, Tensor) else var < 0:
        raise ValueError("var has negative entry/entries")
    var = _variance_of(input, var)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    with no_grad():
        lack = var.clamp(min=eps) - var
    limited = var + lack  # the gradient passes as if nothing had been limited
    loss = 0.5 * (log(limited) + (input - target) ** 2 / limited)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
