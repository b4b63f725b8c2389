"""Losses of classes: negative log-likelihood and cross entropy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.autograd.grad_mode import is_grad_enabled
from flambeau.loss_reduction import check_reduction, reduced, reduction_of
from flambeau.modes import every_sample
from flambeau.ops.compare import where
from flambeau.ops.layer_norm import wide
from flambeau.ops.pointwise import exp
from flambeau.ops.softmax import log_softmax
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

_F: dict[str, Any] = {"namespaces": ("nn.functional",), "method": False, "out": False}
_INTERNAL: dict[str, Any] = {
    "namespaces": ("_internal",), "method": False, "out": False, "template": "fused"}


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
    yield error(RuntimeError, "weight tensor should be defined", make(5, 4), make.index(4, 5),
                make(3, requires_grad=False))
    yield error(RuntimeError, "expected target of shape", make(2, 4, 3), make.index(4, 2, 2))
    yield error(ValueError, "not a valid value", make(5, 4), make.index(4, 5), reduction="most")


def _class_dim(input: Tensor) -> int:
    return 0 if input.ndim == 1 else 1


def _check_target(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Refuse shapes and dtypes that do not fit.

    Raises:
        ValueError: if the batches differ in size.
        RuntimeError: if other dimensions differ, or the target's dtype is no index.
    """
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
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(
            f"expected scalar type Long but found {target.dtype.name}. Convert the target with "
            ".long().")
    classes = input.shape[lead]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}")


def _targets(
    target: Tensor, weight: Tensor | None, classes: int, ignore_index: int, what: dtypes.dtype
) -> tuple[Any, Any]:
    """Classes with the ignored ones replaced by 0, and the weights of the samples.

    Raises:
        IndexError: for a class that does not exist.
    """
    target = target.long()
    used = target != ignore_index
    safe = where(used, target, 0)
    seen = every_sample(safe)
    if target.device.type != "meta" and bool(((seen < 0) | (seen >= classes)).any()):
        wrong = seen[(seen < 0) | (seen >= classes)]
        raise IndexError(f"Target {wrong[0].item()} is out of bounds.")
    weights = used.to(what)
    if weight is not None:
        weights = weights * weight.gather(0, safe.reshape(-1)).reshape(safe.shape)
    return safe, weights


def _put_together(loss: Tensor, total: Tensor, reduction: str) -> Any:
    return loss.sum() / total if reduction == "mean" else reduced(loss, reduction)


def _per_sample(grad: Tensor, weights: Tensor, total: Tensor, reduction: str, dim: int) -> Any:
    """What the slope of each sample's loss is multiplied with; 0 where all are ignored, not NaN."""
    scale = weights * (grad / total if reduction == "mean" else grad)
    return where(weights == 0, 0.0, scale).unsqueeze(dim)


# ---- negative log-likelihood -------------------------------------------------------------------
@composite(
    "class_nll_backward(Tensor grad, Tensor total, Tensor target, Tensor? weight, int[] shape, "
    "int ignore_index, str reduction) -> Tensor",
    samples=lambda make: iter([
        sample(make(), make(low=4, high=5), make.index(4, 5), None, (5, 4), -100, "mean")]),
    **_INTERNAL,
)
def class_nll_backward(
    grad: Tensor, total: Tensor, target: Tensor, weight: Tensor | None, shape: Any,
    ignore_index: int, reduction: str,
) -> Any:
    """Minus the samples' weights at their classes, 0 elsewhere."""
    dim = 0 if len(shape) == 1 else 1
    safe, weights = _targets(target, weight, shape[dim], ignore_index, grad.dtype)
    values = -_per_sample(grad, weights, total, reduction, dim)
    return grad.new_zeros(tuple(shape)).scatter(dim, safe.unsqueeze(dim), values)


def _nll_grad(
    g: Tensor, needs: Any, input_shape: Any, target: Tensor, weight: Tensor | None,
    total: Tensor, ignore_index: int, reduction: str,
) -> Any:
    return class_nll_backward(
        g, total, target, weight, tuple(input_shape), ignore_index, reduction), None, None


@composite(
    "class_nll(Tensor input, Tensor target, Tensor? weight, int ignore_index, str reduction) "
    "-> (Tensor loss, Tensor total)",
    joint=_nll_grad,
    samples=lambda make: iter([sample(make(5, 4), make.index(4, 5), None, -100, "mean")]),
    **_INTERNAL,
)
def class_nll(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Any:
    """Minus the log-probabilities (input) at the classes, and the sum of the samples' weights."""
    _check_target("nll_loss", input, target, weight)
    dim = _class_dim(input)
    safe, weights = _targets(target, weight, input.shape[dim], ignore_index, input.dtype)
    picked = input.gather(dim, safe.unsqueeze(dim)).squeeze(dim)
    total = weights.sum()
    loss = where(weights == 0, 0.0, -picked * weights)
    return _put_together(loss, total, reduction), total


@composite(
    "nll_loss(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, "
    "int ignore_index=-100, bool? reduce=None, str reduction='mean') -> Tensor",
    template="front", samples=_class_samples, errors=_class_errors, **_F,
)
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
) -> Any:
    """Minus the log-probability (input) of the target class."""
    reduction = check_reduction(reduction_of(size_average, reduce, reduction))
    return class_nll(input, target, weight, ignore_index, reduction)[0]


# ---- cross entropy -----------------------------------------------------------------------------
def _slope_samples(make: Make) -> Iterator[Sample]:
    for shape, weight, reduction, smoothing in (
            ((5, 4), None, "mean", 0.0),
            ((2, 4, 3), make(4, low=0.5, requires_grad=False), "none", 0.1)):
        x, samples = make(*shape), (shape[0], *shape[2:])
        yield sample(
            make(*samples if reduction == "none" else ()), x, wide(x).detach().logsumexp(1),
            make(low=4, high=5), make.index(4, *samples), weight, 1, reduction, smoothing)


@composite(
    "class_cross_entropy_backward(Tensor grad, Tensor input, Tensor normalizer, Tensor total, "
    "Tensor target, Tensor? weight, int ignore_index, str reduction, float label_smoothing) "
    "-> Tensor",
    samples=_slope_samples,
    **_INTERNAL,
)
def class_cross_entropy_backward(
    grad: Tensor, input: Tensor, normalizer: Tensor, total: Tensor, target: Tensor,
    weight: Tensor | None, ignore_index: int, reduction: str, label_smoothing: float,
) -> Any:
    """Probabilities less the (smoothed) classes, weighted."""
    dim = _class_dim(input)
    classes = input.shape[dim]
    probability = exp(input - normalizer.unsqueeze(dim)).to(input.dtype)
    safe, weights = _targets(target, weight, classes, ignore_index, probability.dtype)
    hard = _per_sample(grad, weights * (1 - label_smoothing), total, reduction, dim)
    result = probability * hard
    result = result.scatter_add(dim, safe.unsqueeze(dim), -hard)
    if not label_smoothing:
        return result
    used = (target != ignore_index).to(probability.dtype) * (label_smoothing / classes)
    soft = _per_sample(grad, used, total, reduction, dim)
    if weight is None:
        return result + soft * (probability * classes - 1)
    row = weight.reshape([-1 if d == dim else 1 for d in range(probability.ndim)])
    return result + soft * (probability * weight.sum() - row)


def _cross_entropy_grad(
    g: Tensor, needs: Any, input: Tensor, target: Tensor, weight: Tensor | None,
    normalizer: Tensor, total: Tensor, ignore_index: int, reduction: str, label_smoothing: float,
) -> Any:
    if is_grad_enabled():  # the saved normalizer does not lead back to the input
        normalizer = wide(input).logsumexp(_class_dim(input))
    return class_cross_entropy_backward(
        g, input, normalizer, total, target, weight, ignore_index, reduction, label_smoothing
    ), None, None


@composite(
    "class_cross_entropy(Tensor input, Tensor target, Tensor? weight, int ignore_index, "
    "str reduction, float label_smoothing) -> (Tensor loss, Tensor normalizer, Tensor total)",
    joint=_cross_entropy_grad,
    samples=lambda make: iter([
        sample(make(5, 4), make.index(4, 5), None, -100, "mean", 0.0),
        sample(make(5, 4), make.index(4, 5), make(4, low=0.5, requires_grad=False), 1, "sum", 0.1),
        sample(make(2, 4, 3), make.index(4, 2, 3), None, -100, "none", 0.1)]),
    **_INTERNAL,
)
def class_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str,
    label_smoothing: float,
) -> Any:
    """Cross entropy of softmax(input) with classes; with what the gradient needs.

    That is the logarithm of every sample's sum of exponentials (single precision for halves), and
    the sum of the weights.
    """
    _check_target("cross_entropy", input, target, weight)
    dim = _class_dim(input)
    classes = input.shape[dim]
    safe, weights = _targets(target, weight, classes, ignore_index, input.dtype)
    logarithms = log_softmax(input, dim)
    picked = logarithms.gather(dim, safe.unsqueeze(dim)).squeeze(dim)
    loss, total = where(weights == 0, 0.0, -picked * weights), weights.sum()
    if label_smoothing:
        row = 1.0 if weight is None else weight.reshape(
            [-1 if d == dim else 1 for d in range(input.ndim)])
        smooth = where(target == ignore_index, 0.0, -(logarithms * row).sum(dim))
        loss = loss * (1 - label_smoothing) + smooth * (label_smoothing / classes)
    return _put_together(loss, total, reduction), wide(input).logsumexp(dim), total


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Any:
    """Cross entropy with probabilities of classes."""
    if input.shape != target.shape:
        raise RuntimeError(
            f"cross_entropy: expected a target of probabilities to have the input's shape "
            f"{list(input.shape)}, got {list(target.shape)}")
    dim = _class_dim(input)
    classes = input.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = log_softmax(input, dim) * target
    if weight is not None:
        terms = terms * weight.reshape([-1 if d == dim else 1 for d in range(input.ndim)])
    if reduction == "mean":
        return -terms.sum() / max(input.numel() // max(classes, 1), 1)
    return -(terms.sum() if reduction == "sum" else terms.sum(dim))


def _cross_entropy_samples(make: Make) -> Iterator[Sample]:
    yield from _class_samples(make)
    x, y = make(5, 4), make.index(4, 5)
    weight = make(4, low=0.5, high=1.5, requires_grad=False)
    yield sample(x, y, label_smoothing=0.1)
    yield sample(x, y, weight, label_smoothing=0.1, ignore_index=2)
    yield sample(x, make(5, 4, low=0, high=1))
    yield sample(x, make(5, 4, low=0, high=1), weight, label_smoothing=0.2, reduction="none")


def _cross_entropy_errors(make: Make) -> Iterator[ErrorSample]:
    yield from _class_errors(make)
    yield error(RuntimeError, "label_smoothing must be between", make(5, 4), make.index(4, 5),
                label_smoothing=1.5)
    yield error(RuntimeError, "Long", make(5, 4), make.index(4, 5).to(dtypes.int32))


@composite(
    "cross_entropy(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, "
    "int ignore_index=-100, bool? reduce=None, str reduction='mean', "
    "float label_smoothing=0.0) -> Tensor",
    template="front", samples=_cross_entropy_samples, errors=_cross_entropy_errors, **_F,
)
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross entropy of softmax(input); the target holds classes, or their probabilities.

    Args:
        input: (C), (N, C) or (N, C, d1, ...).
        target: without the dimension C for classes; of the input's shape for probabilities.
        weight: (C), a weight per class.
        ignore_index: the class of samples that do not count.
        label_smoothing: what part of a sample is spread evenly over all classes.
    """
    reduction = check_reduction(reduction_of(size_average, reduce, reduction))
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(
            f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    return class_cross_entropy(
        input, target, weight, ignore_index, reduction, label_smoothing)[0]
