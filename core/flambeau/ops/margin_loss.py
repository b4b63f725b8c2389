"""Losses with a margin between classes or between examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flambeau.loss_reduction import LEGACY, check_reduction, reduced, reduction_of
from flambeau.ops.activation import logsigmoid, softplus
from flambeau.ops.compare import where
from flambeau.ops.similarity import pairwise_distance
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

_F: dict[str, Any] = {"namespaces": ("nn.functional",), "method": False, "out": False}


def _signs(make: Make, *shape: int) -> Tensor:
    result: Tensor = make.mask(*shape).to(make(1).dtype) * 2 - 1
    return result


def _signed_samples(make: Make) -> Iterator[Sample]:
    for reduction in ("mean", "sum", "none"):
        yield sample(make(3, 4), _signs(make, 3, 4), reduction=reduction)


def _signed_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(ValueError, "is not a valid value|is not valid", make(3), make(3),
                reduction="most")


# ---- of one score ------------------------------------------------------------------------------
@composite(
    f"hinge_embedding_loss(Tensor input, Tensor target, float margin=1.0, {LEGACY}) -> Tensor",
    samples=_signed_samples, errors=_signed_errors, **_F,
)
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    positive = where(target == -1, 0.0, input)
    negative = where(target == 1, 0.0, (margin - input).clamp(min=0))
    return reduced(positive + negative, reduction_of(size_average, reduce, reduction))


@composite(
    f"soft_margin_loss(Tensor input, Tensor target, {LEGACY}) -> Tensor",
    samples=_signed_samples, errors=_signed_errors, **_F,
)
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """log(1 + exp(-target * x))."""
    loss = softplus(-target * input, 1, float("inf"))
    return reduced(loss, reduction_of(size_average, reduce, reduction))


def _ranking_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "same dimension", make(3), make(3, 1), make(3))
    yield error(ValueError, "not a valid value", make(3), make(3), make(3), reduction="most")


@composite(
    "margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, "
    f"{LEGACY}) -> Tensor",
    samples=lambda make: iter([sample(make(4), make(4), _signs(make, 4), margin=0.5)]),
    errors=_ranking_errors, **_F,
)
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:
    """max(0, margin - target * (input1 - input2))."""
    if input1.ndim != input2.ndim or input1.ndim != target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} ")
    loss = (margin - target * (input1 - input2)).clamp(min=0)
    return reduced(loss, reduction_of(size_average, reduce, reduction))


# ---- of several classes ------------------------------------------------------------------------
def _multi_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(ValueError, "only p == 1 and p == 2", make(5, 4), make.index(4, 5), p=3)
    yield error(RuntimeError, "inconsistent target size", make(5, 4), make.index(4, 3))
    yield error(ValueError, "weight", make(5, 4), make.index(4, 5), weight=make(4, 1))


@composite(
    "multi_margin_loss(Tensor input, Tensor target, int p=1, float margin=1.0, "
    f"Tensor? weight=None, {LEGACY}) -> Tensor",
    samples=lambda make: iter([
        sample(make(5, 4), make.index(4, 5)), sample(make(4), make.index(4)),
        sample(make(5, 4), make.index(4, 5), p=2, margin=0.5)]),
    errors=_multi_errors, **_F,
)
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Any:
    """The mean over the other classes of max(0, margin - x[target] + x)^p."""
    reduction = check_reduction(reduction_of(size_average, reduce, reduction))
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    rows = input if input.ndim == 2 else input.reshape(1, -1)
    if target.numel() != rows.shape[0]:
        raise RuntimeError(
            f"inconsistent target size, expected {rows.shape[0]} but got {list(target.shape)}")
    places = target.reshape(-1, 1)
    away = (margin - rows.gather(1, places) + rows).clamp(min=0)
    if p == 2:
        away = away * away
    if weight is not None:
        away = away * weight.gather(0, target.reshape(-1)).unsqueeze(1)
    others = rows.new_ones(rows.shape).scatter(1, places, 0.0)
    loss = (away * others).sum(1) / rows.shape[1]
    return reduced(loss if input.ndim == 2 else loss.squeeze(0), reduction)


@composite(
    f"multilabel_margin_loss(Tensor input, Tensor target, {LEGACY}) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make.index(5, 3, 4) - 1),
                               sample(make(4), make.index(5, 4) - 1)]),
    errors=lambda make: iter([
        error(RuntimeError, "inconsistent target size", make(3, 4), make.index(4, 3, 3))]),
    **_F,
)
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The mean of max(0, 1 - (x[label] - x[other])) over labels and other classes.

    A row of the target lists labels and ends with the first -1.
    """
    reduction = check_reduction(reduction_of(size_average, reduce, reduction))
    if input.ndim > 2 or (input.ndim and not input.shape[-1]):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.shape)}")
    if input.shape != target.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: "
            f"{list(input.shape)}")
    rows, labels = (t if t.ndim == 2 else t.reshape(1, -1) for t in (input, target))
    listed = (labels < 0).long().cumsum(1) == 0
    safe = where(listed, labels, 0)
    is_label = rows.new_zeros(rows.shape).scatter_add(1, safe, listed.to(rows.dtype)) > 0
    away = (1 - rows.gather(1, safe).unsqueeze(2) + rows.unsqueeze(1)).clamp(min=0)
    counted = listed.unsqueeze(2) & ~is_label.unsqueeze(1)
    loss = where(counted, away, 0.0).sum((1, 2)) / rows.shape[1]
    return reduced(loss if input.ndim == 2 else loss.squeeze(0), reduction)


@composite(
    f"multilabel_soft_margin_loss(Tensor input, Tensor target, Tensor? weight=None, {LEGACY}) "
    "-> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4, low=0, high=1))]),
    errors=_signed_errors, **_F,
)
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:
    """The mean over classes of the binary cross entropy of each."""
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    loss = loss.sum(-1) / input.shape[-1]
    return reduced(loss, reduction_of(size_average, reduce, reduction))


# ---- triplets ----------------------------------------------------------------------------------
def _triplet(
    anchor: Tensor, positive: Tensor, negative: Tensor, distance: Callable[..., Any],
    margin: float, swap: bool, reduction: str,
) -> Any:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + near - far).clamp(min=0), reduction)


def _triplet_errors(make: Make) -> Iterator[ErrorSample]:
    three = make(3, 4), make(3, 4), make(3, 4)
    yield error(ValueError, "margin must be greater than 0", *three, margin=-1.0)
    yield error(ValueError, "not a valid value", *three, reduction="most")
    yield error(RuntimeError, "same number of dimensions", make(3, 4), make(3, 4), make(4))


@composite(
    "triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, "
    f"float p=2, float eps=1e-06, bool swap=False, {LEGACY}) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4), make(3, 4)),
                               sample(make(3, 4), make(3, 4), make(3, 4), swap=True)]),
    errors=_triplet_errors, **_F,
)
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
    eps: float = 1e-06, swap: bool = False, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being the p-norm.

    Args:
        swap: take d(positive, negative) where it is less (Balntas et al., 2016).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return _triplet(
        anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap,
        reduction)


@composite(
    "triplet_margin_with_distance_loss(Tensor anchor, Tensor positive, Tensor negative, *, "
    "Any distance_function=None, float margin=1.0, bool swap=False, str reduction='mean') "
    "-> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4), make(3, 4))]),
    errors=_triplet_errors, **_F,
)
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, distance_function: Any = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Any:
    """:func:`triplet_margin_loss` with a distance of the user's."""
    check_reduction(reduction)
    return _triplet(
        anchor, positive, negative, distance_function or pairwise_distance, margin, swap,
        reduction)
