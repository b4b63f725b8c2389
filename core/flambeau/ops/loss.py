"""Losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import broadcast_shapes
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
    try:
        picked = -logp.gather(dim, safe.unsqueeze(dim)).squeeze(dim)
    except RuntimeError as error:
        raise IndexError(f"Target is out of bounds: {error}") from error
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
    mixed: Tensor = hard * (1 - label_smoothing) + soft * (label_smoothing / classes)
    return mixed


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


# ---- distances between values ------------------------------------------------------------------
@composite(
    "smooth_l1_loss(Tensor input, Tensor target, str reduction='mean', float beta=1.0) -> Tensor",
    samples=_pair_samples, errors=_pair_errors, **_F,
)
def smooth_l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """Squared below ``beta``, absolute above."""
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    away = (input - target).abs()
    if beta == 0:
        return reduced(away, reduction)
    return reduced(where(away < beta, away * away * (0.5 / beta), away - 0.5 * beta), reduction)


@composite(
    "huber_loss(Tensor input, Tensor target, str reduction='mean', float delta=1.0, "
    "Tensor? weight=None) -> Tensor",
    samples=_pair_samples, errors=_pair_errors, **_F,
)
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Half the square below ``delta``, ``delta`` times the distance above."""
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    away = (input - target).abs()
    loss = where(away <= delta, away * away * 0.5, (away - 0.5 * delta) * delta)
    if weight is None:
        return reduced(loss, reduction)
    loss = loss * weight
    if reduction == "mean":
        return loss.sum() / weight.expand(loss.shape).sum()  # type: ignore[no-any-return]
    return reduced(loss, reduction)


@composite(
    "kl_div(Tensor input, Tensor target, bool? size_average=None, bool? reduce=None, "
    "str reduction='mean', bool log_target=False) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4, low=0.1, high=1)),
                               sample(make(3, 4), make(3, 4), log_target=True)]),
    errors=_pair_errors, **_F,
)
def kl_div(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:
    """The divergence of ``target`` from ``exp(input)``."""
    if log_target:
        loss = exp(target) * (target - input)
    else:
        positive = target > 0
        loss = where(positive, target * where(positive, target, 1.0).log(), 0.0) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0]  # type: ignore[no-any-return]
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
) -> Tensor:
    """Minus the log-likelihood of a Poisson distribution, with Stirling's term if ``full``."""
    loss = exp(input) - target * input if log_input else input - target * (input + eps).log()
    if full:
        big = target > 1
        safe = where(big, target, 2.0)
        stirling = safe * safe.log() - safe + 0.5 * (2 * 3.141592653589793 * safe).log()
        loss = loss + where(big, stirling, 0.0)
    return reduced(loss, reduction)


@composite(
    "gaussian_nll_loss(Tensor input, Tensor target, Operand var, bool full=False, "
    "float eps=1e-06, str reduction='mean') -> Tensor",
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4), make(3, 4, low=0.5, high=2)),
        sample(make(3, 4), make(3, 4), make(3, 1, low=0.5, high=2), full=True)]),
    errors=lambda make: iter([error(ValueError, "var is of incorrect size", make(3, 4),
                                    make(3, 4), make(2, low=0.5, high=2))]),
    **_F,
)
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-06,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-likelihood of a normal distribution with the variance given."""
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = input.new_full(input.shape, float(var))
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.unsqueeze(-1)
        elif not (var.ndim == input.ndim and var.shape[:-1] == input.shape[:-1]
                  and var.shape[-1] == 1) and var.ndim:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    floor = var.detach().clamp(min=eps) - var.detach()
    limited = var + floor  # the gradient passes through, as if nothing had been limited
    loss = 0.5 * (limited.log() + (input - target) ** 2 / limited)
    if full:
        loss = loss + 0.9189385332046727  # log(2 pi) / 2
    return reduced(loss, reduction)


# ---- margins -----------------------------------------------------------------------------------
_OLD = "bool? size_average=None, bool? reduce=None, str reduction='mean'"


@composite(
    f"hinge_embedding_loss(Tensor input, Tensor target, float margin=1.0, {_OLD}) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4, requires_grad=False).sign())]),
    errors=_pair_errors, **_F,
)
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    positive = where(target == -1, 0.0, input)
    negative = where(target == 1, 0.0, (margin - input).clamp(min=0))
    return reduced(positive + negative, reduction)


@composite(
    f"margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, {_OLD}) "
    "-> Tensor",
    samples=lambda make: iter([
        sample(make(4), make(4), make(4, requires_grad=False).sign(), margin=0.5)]),
    errors=lambda make: iter([error(ValueError, "not a valid value", make(3), make(3), make(3),
                                    reduction="most")]),
    **_F,
)
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target * (input1 - input2))."""
    if input1.ndim != input2.ndim or input1.ndim != target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} ")
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction)


@composite(
    f"soft_margin_loss(Tensor input, Tensor target, {_OLD}) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4, requires_grad=False).sign())]),
    errors=_pair_errors, **_F,
)
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * x))."""
    return reduced(log1p(exp(-target * input)), reduction)


@composite(
    f"multilabel_soft_margin_loss(Tensor input, Tensor target, Tensor? weight=None, {_OLD}) "
    "-> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4, low=0, high=1))]),
    errors=_pair_errors, **_F,
)
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """The mean over classes of the binary cross entropy of each."""
    below = input.clamp(max=0) - log1p(exp(-input.abs()))
    terms = -(target * below + (1 - target) * (below - input))
    if weight is not None:
        terms = terms * weight
    return reduced(terms.sum(-1) / input.shape[-1], reduction)


@composite(
    "multi_margin_loss(Tensor input, Tensor target, int p=1, float margin=1.0, "
    f"Tensor? weight=None, {_OLD}) -> Tensor",
    samples=lambda make: iter([sample(make(5, 4), make.index(4, 5)),
                               sample(make(5, 4), make.index(4, 5), p=2, margin=0.5)]),
    errors=lambda make: iter([error(ValueError, "only p == 1 and p == 2", make(5, 4),
                                    make.index(4, 5), p=3)]),
    **_F,
)
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """The mean over the other classes of max(0, margin - x[target] + x)^p."""
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    rows = input if input.ndim == 2 else input.reshape(1, -1)
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
    f"multilabel_margin_loss(Tensor input, Tensor target, {_OLD}) -> Tensor",
    samples=lambda make: iter([
        sample(make(3, 4), make.index(4, 3, 1).expand(3, 4) * make.mask(3, 4) - 0)]),
    errors=lambda make: iter([error(
        ValueError, "not a valid value", make(3, 4), make.index(4, 3, 4), reduction="most")]),
    **_F,
)
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean of max(0, 1 - (x[label] - x[other])) over labels and other classes.

    A row of the target lists labels and ends with the first -1.
    """
    rows, labels = (t if t.ndim == 2 else t.reshape(1, -1) for t in (input, target))
    listed = (labels < 0).long().cumsum(1) == 0
    safe = where(listed, labels, 0)
    is_label = rows.new_zeros(rows.shape).scatter_add(1, safe, listed.to(rows.dtype)) > 0
    away = (1 - rows.gather(1, safe).unsqueeze(2) + rows.unsqueeze(1)).clamp(min=0)
    counted = listed.unsqueeze(2) & ~is_label.unsqueeze(1)
    loss = where(counted, away, 0.0).sum((1, 2)) / rows.shape[1]
    return reduced(loss if input.ndim == 2 else loss.squeeze(0), reduction)


# ---- similarity --------------------------------------------------------------------------------
_TWO: dict[str, Any] = {
    "samples": lambda make: iter([sample(make(3, 4), make(3, 4))]),
    "errors": lambda make: iter([error(RuntimeError, "must match", make(3, 4), make(3, 5))]),
}


@composite(
    "cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, **_TWO,
)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08) -> Tensor:
    """The cosine of the angle between vectors along a dimension."""
    shape = broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    a = x1 / (x1 * x1).sum(dim, keepdim=True).sqrt().clamp(min=eps)
    b = x2 / (x2 * x2).sum(dim, keepdim=True).sqrt().clamp(min=eps)
    result: Tensor = (a * b).sum(dim)
    return result


@composite(
    "pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool keepdim=False) "
    "-> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, **_TWO,
)
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2, eps: float = 1e-06, keepdim: bool = False
) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension."""
    from flambeau.ops.norms import vector_norm

    result: Tensor = vector_norm(x1 - x2 + eps, float(p), -1, keepdim)
    return result


@composite(
    f"cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, {_OLD}) "
    "-> Tensor",
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4), make(3, requires_grad=False).sign(), margin=0.2)]),
    errors=lambda make: iter([error(RuntimeError, "target tensor", make(3, 4), make(3, 4),
                                    make(3, 4))]),
    **_F,
)
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    if target.ndim != input1.ndim - 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}.")
    eps = 1e-12
    dot = (input1 * input2).sum(-1)
    cosine = dot / (((input1 * input1).sum(-1) + eps) * ((input2 * input2).sum(-1) + eps)).sqrt()
    positive = where(target == 1, 1 - cosine, 0.0)
    negative = where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return reduced(positive + negative, reduction)


@composite(
    "triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, "
    f"float p=2, float eps=1e-06, bool swap=False, {_OLD}) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), make(3, 4), make(3, 4)),
                               sample(make(3, 4), make(3, 4), make(3, 4), swap=True)]),
    errors=lambda make: iter([error(ValueError, "margin must be greater than 0", make(3, 4),
                                    make(3, 4), make(3, 4), margin=-1.0)]),
    **_F,
)
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
    eps: float = 1e-06, swap: bool = False, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin)."""
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return reduced((margin + near - far).clamp(min=0), reduction)


@composite(
    "normalize(Tensor input, float p=2.0, int dim=1, float eps=1e-12, Tensor? out=None) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False,
    samples=lambda make: iter([sample(make(3, 4)), sample(make(3, 4), 1.0, 0)]),
    errors=lambda make: iter([error(IndexError, "Dimension out of range", make(3))]),
)
def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """The input divided by its p-norm along a dimension, which counts as at least ``eps``."""
    from flambeau.ops.norms import vector_norm

    result: Tensor = input / vector_norm(input, float(p), dim, True).clamp(min=eps)
    return result if out is None else out.copy_(result)
