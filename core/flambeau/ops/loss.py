"""Losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.ops.activation import log_softmax
from flambeau.ops.compare import where
from flambeau.ops.pointwise import exp, log1p
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

_F: dict[str, Any] = {"namespaces": ("nn.functional",), "method": False, "out": False}


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The loss of each element, or their mean or sum.

    Raises:
        ValueError: for another word.
    """
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()  # type: ignore[no-any-return]
    if reduction == "sum":
        return loss.sum()  # type: ignore[no-any-return]
    raise ValueError(f"{reduction} is not a valid value for reduction")


def _pair_samples(make: Make) -> Iterator[Sample]:
    for reduction in ("mean", "sum", "none"):
        yield sample(make(3, 4), make(3, 4), reduction=reduction)


def _pair_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(ValueError, "is not a valid value for reduction", make(3), make(3),
                reduction="most")


@composite("mse_loss(Tensor input, Tensor target, str reduction='mean') -> Tensor",
           samples=_pair_samples, errors=_pair_errors, **_F)
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The squared difference."""
    difference = input - target
    return reduced(difference * difference, reduction)


@composite("l1_loss(Tensor input, Tensor target, str reduction='mean') -> Tensor",
           samples=_pair_samples, errors=_pair_errors, **_F)
def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The absolute difference."""
    return reduced((input - target).abs(), reduction)


# ---- classes -----------------------------------------------------------------------------------
def _class_samples(make: Make) -> Iterator[Sample]:
    x, y = make(5, 4), make.index(4, 5)
    yield sample(x, y)
    yield sample(x, y, reduction="sum")
    yield sample(x, y, reduction="none")
    yield sample(x, y, make(4, low=0.5, high=1.5, requires_grad=False))
    yield sample(x, y, ignore_index=1)
    yield sample(make(2, 4, 3), make.index(4, 2, 3))
    yield sample(make(4), make.index(4))


def _class_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(ValueError, "batch_size", make(5, 4), make.index(4, 3))
    yield error(IndexError, "out of bounds", make(5, 4), make.index(4, 5) + 4)


def _check_target(name: str, input: Tensor, target: Tensor, ignore_index: int) -> None:
    if not input.ndim:
        raise RuntimeError(f"{name}: input must have at least 1 dimension")
    lead = 0 if input.ndim == 1 else 1
    if input.ndim > 1 and (not target.ndim or input.shape[0] != target.shape[0]):
        have = target.shape[0] if target.ndim else 1
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({have}).")
    if input.shape[lead + 1:] != target.shape[lead:]:
        raise RuntimeError(
            f"{name}: expected target of shape "
            f"{[*input.shape[:lead], *input.shape[lead + 1:]]}, got {list(target.shape)}")
    if target.dtype not in (dtypes.int64, dtypes.uint8, dtypes.int32):
        raise RuntimeError(f"expected scalar type Long but found {target.dtype.name}")


def _nll(
    logp: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    dim = 0 if logp.ndim == 1 else 1
    target = target.long()
    used = target != ignore_index
    safe = where(used, target, 0)
    picked = -logp.gather(dim, safe.unsqueeze(dim)).squeeze(dim)
    weights = used.to(logp.dtype)
    if weight is not None:
        weights = weights * weight.gather(0, safe.reshape(-1)).reshape(safe.shape)
    loss = picked * weights
    if reduction == "mean":
        return loss.sum() / weights.sum()  # type: ignore[no-any-return]
    return reduced(loss, reduction)


@composite(
    "nll_loss(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, "
    "int ignore_index=-100, bool? reduce=None, str reduction='mean') -> Tensor",
    samples=lambda make: (
        sample(*s.args, **s.kwargs) for s in _class_samples(make)), errors=_class_errors, **_F,
)
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability (input) of the target class."""
    _check_target("nll_loss", input, target, ignore_index)
    return _nll(input, target, weight, ignore_index, reduction)


@composite(
    "cross_entropy(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, "
    "int ignore_index=-100, bool? reduce=None, str reduction='mean', "
    "float label_smoothing=0.0) -> Tensor",
    samples=_class_samples, errors=_class_errors, **_F,
)
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax and negative log-likelihood; the target is classes, or their probabilities."""
    dim = 0 if input.ndim == 1 else 1
    logp = log_softmax(input, dim)
    classes = input.shape[dim]
    if target.dtype.is_floating_point:
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / classes
        shape = [1] * input.ndim
        shape[dim] = classes
        terms = -logp * target if weight is None else -logp * target * weight.reshape(shape)
        loss = terms.sum(dim)
        if reduction == "mean":
            return loss.sum() / max(loss.numel(), 1)  # type: ignore[no-any-return]
        return reduced(loss, reduction)
    _check_target("cross_entropy", input, target, ignore_index)
    hard = _nll(logp, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return hard
    used = (target != ignore_index).to(logp.dtype)
    shape = [1] * input.ndim
    shape[dim] = classes
    smooth = -(logp if weight is None else logp * weight.reshape(shape)).sum(dim) * used
    if reduction == "mean":
        total = used.sum() if weight is None else (
            weight.gather(0, where(used > 0, target, 0).reshape(-1)).reshape(target.shape) * used
        ).sum()
        soft = smooth.sum() / total
    else:
        soft = reduced(smooth, reduction)
    return hard * (1 - label_smoothing) + soft * (label_smoothing / classes)


# ---- probabilities -----------------------------------------------------------------------------
@composite(
    "binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight=None, "
    "bool? size_average=None, bool? reduce=None, str reduction='mean', "
    "Tensor? pos_weight=None) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4, low=0, high=1))]),
    errors=lambda make: iter([error(ValueError, "must be the same", make(3), make(4))]), **_F,
)
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy of sigmoid(input), without overflow."""
    if input.shape != target.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    below = input.clamp(max=0) - log1p(exp(-input.abs()))  # log(sigmoid(x))
    if pos_weight is None:
        loss = (1 - target) * input - below
    else:
        scale = (pos_weight - 1) * target + 1
        loss = (1 - target) * input - scale * below
    return reduced(loss if weight is None else loss * weight, reduction)


@composite(
    "binary_cross_entropy(Tensor input, Tensor target, Tensor? weight=None, "
    "bool? size_average=None, bool? reduce=None, str reduction='mean') -> Tensor",
    samples=lambda make: iter([
        sample(make(3, 4, low=0.1, high=0.9), make(3, 4, low=0, high=1))]),
    errors=lambda make: iter([error(ValueError, "different", make(3), make(4))]), **_F,
)
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """Binary cross entropy of probabilities; logarithms are limited to -100."""
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size.")
    yes, no = input.log().clamp(min=-100), (1 - input).log().clamp(min=-100)
    loss = -(target * yes + (1 - target) * no)
    return reduced(loss if weight is None else loss * weight, reduction)
