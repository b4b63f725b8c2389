"""Normalisation of channels over the batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau.autograd.grad_mode import MODE, no_grad
from flambeau.layout import product
from flambeau.ops.layer_norm import check_parameter_dtypes, wide
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor


def _per_channel(p: Tensor, ndim: int) -> Tensor:
    """(C, 1, ...): broadcasts against (N, C, ...)."""
    result: Tensor = p.reshape((-1, *(1,) * (ndim - 2)))
    return result


def _but_channels(x: Tensor) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _stats(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance per channel."""
    dims = _but_channels(x)
    mean = x.mean(dims, keepdim=True)
    c = x - mean
    return mean.reshape(-1), (c * c).mean(dims)


def _affine(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    ndim = x.ndim
    scale = 1 / (var + eps).sqrt()
    scale = scale if weight is None else scale * weight
    out: Tensor = (x - _per_channel(mean, ndim)) * _per_channel(scale, ndim)
    return out if bias is None else out + _per_channel(bias, ndim)


# ---- the internal ops --------------------------------------------------------------------------
def _cases(make: Make) -> Iterator[tuple[str, Tensor, Any, Any]]:
    yield "images", make(3, 2, 4, 3), make(2), make(2)
    yield "plain", make(3, 2, 4), None, None
    yield "rows", make(5, 3), make(3), make(3)
    yield "weight", make(2, 2, 3, 2, 2), make(2), None
    yield "transposed", make(4, 2, 3).transpose(0, 2), make(2), make(2)


def _running(make: Make, x: Tensor) -> tuple[Tensor, Tensor]:
    c = x.shape[1]
    return make(c, requires_grad=False), make(c, low=0.5, high=2, requires_grad=False)


def _train_samples(make: Make) -> Iterator[Sample]:
    for name, x, weight, bias in _cases(make):
        yield Sample((x, weight, bias, 1e-5), name=name)


def _eval_samples(make: Make) -> Iterator[Sample]:
    for name, x, weight, bias in _cases(make):
        yield Sample((x, weight, bias, *_running(make, x), 1e-5), name=name)
    yield Sample((make(0, 2, 3), None, None, *_running(make, make(0, 2)), 1e-5), name="no_batch")


def _grads_samples(make: Make) -> Iterator[Sample]:
    for training in (True, False):
        for name, x, weight, _ in _cases(make):
            stats = [t.detach() for t in (_stats(x.detach()) if training else _running(make, x))]
            yield Sample(
                (make(*x.shape), x, *stats, weight, 1e-5, training, True, weight is not None,
                 True),
                name=f"{name}_{'train' if training else 'eval'}")


def _train_back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, weight: Tensor | None, eps: float,
    mean: Tensor, var: Tensor,
) -> tuple[Any, ...]:
    grads: tuple[Any, ...] = batch_norm_grads(
        g, input, mean, var, weight, eps, True, *needs[:3])
    return grads


@composite(
    "batch_norm_train(Tensor input, Tensor? weight, Tensor? bias, float eps) "
    "-> (Tensor out, Tensor mean, Tensor var)",
    method=False, out=False, namespaces=("_internal",), joint=_train_back, template="fused",
    samples=_train_samples,
)
def batch_norm_train(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised by the batch's own statistics; and these: mean and biased variance."""
    check_parameter_dtypes("batch_norm", input, weight, bias)
    x = wide(input)
    mean, var = _stats(x)
    out = _affine(x, mean, var, weight, bias, eps).to(input.dtype)
    held = input.dtype if weight is None else weight.dtype
    return out, mean.to(held), var.to(held)


def _eval_back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, weight: Tensor | None,
    running_mean: Tensor, running_var: Tensor, eps: float,
) -> tuple[Any, ...]:
    grads: tuple[Any, ...] = batch_norm_grads(
        g, input, running_mean, running_var, weight, eps, False, *needs[:3])
    return (*grads, None, None)


@composite(
    "batch_norm_eval(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, "
    "Tensor running_var, float eps) -> Tensor",
    method=False, out=False, namespaces=("_internal",), joint=_eval_back, template="fused",
    samples=_eval_samples,
)
def batch_norm_eval(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor,
    running_var: Tensor, eps: float,
) -> Tensor:
    """Normalised by given statistics."""
    check_parameter_dtypes("batch_norm", input, weight, bias, running_mean, running_var)
    out = _affine(wide(input), wide(running_mean), wide(running_var), weight, bias, eps)
    result: Tensor = out.to(input.dtype)
    return result


@composite(
    "batch_norm_grads(Tensor grad, Tensor input, Tensor mean, Tensor var, Tensor? weight, "
    "float eps, bool training, bool for_input, bool for_weight, bool for_bias) "
    "-> (Tensor, Tensor, Tensor)",
    namespaces=("_internal",), method=False, out=False, template="fused",
    samples=_grads_samples,
)
def batch_norm_grads(
    grad: Tensor, input: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, eps: float,
    training: bool, for_input: bool, for_weight: bool, for_bias: bool,
) -> tuple[Any, ...]:
    """The gradients of batch normalisation for input, weight and bias; None where not wanted."""
    g, x, ndim = wide(grad), wide(input), input.ndim
    if training and (MODE.enabled or x is not input):  # they depend on the input, or were rounded
        mean, var = _stats(x)
    dims = _but_channels(x)
    rstd = _per_channel(1 / (wide(var) + eps).sqrt(), ndim)
    xhat = (x - _per_channel(wide(mean), ndim)) * rstd
    dx = None
    if for_input:
        scale = rstd if weight is None else rstd * _per_channel(weight, ndim)
        dx = g
        if training:
            along = (g * xhat).mean(dims, keepdim=True)
            dx = g - g.mean(dims, keepdim=True) - xhat * along
        dx = dx * scale
    return (
        dx, (g * xhat).sum(dims) if for_weight else None, g.sum(dims) if for_bias else None)


# ---- public ------------------------------------------------------------------------------------
def move_average(running: Tensor, new: Tensor, momentum: float, factor: float = 1.0) -> None:
    """Move a running statistic towards ``factor`` times a new one, in place."""
    running.copy_(running_average(running, new, momentum, factor))


@composite(
    "running_average(Tensor running, Tensor current, float momentum, float factor) -> Tensor",
    method=False, out=False, namespaces=("_internal",), template="fused",
    samples=lambda make: iter([Sample((make(3), make(3), 0.25, 1.5))]),
)
def running_average(
    running: Tensor, current: Tensor, momentum: float, factor: float
) -> Tensor:
    """``(1 - momentum) * running + momentum * factor * current``."""
    moved: Tensor = running * (1 - momentum) + wide(current) * (momentum * factor)
    held: Tensor = moved.to(running.dtype)
    return held


def _check(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None, bias: Tensor | None, training: bool,
) -> None:
    """Refuse what PyTorch refuses.

    Raises:
        ValueError: if there is but one value per channel in training, or one of two statistics.
        RuntimeError: for shapes that do not fit, or missing statistics.
    """
    shape = input.shape
    if input.ndim < 2 and input.numel():
        raise RuntimeError(
            f"batch_norm: Expected more than 1 dimension, got input of shape {list(shape)}")
    if training and shape[0] * product(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {shape}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if running_mean is None and not training:
        raise RuntimeError("running_mean must be defined in evaluation mode")
    for word, t in (("running_mean", running_mean), ("running_var", running_var),
                    ("weight", weight), ("bias", bias)):
        if t is not None and list(t.shape) != list(shape[1:2] or (0,)):
            raise RuntimeError(
                f"batch_norm: {word} should contain {shape[1]} elements not {t.numel()}")


def _train(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    out, mean, var = batch_norm_train(input, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        count = input.shape[0] * product(input.shape[2:])
        if count:  # nothing is learned from an empty batch
            with no_grad():
                move_average(running_mean, mean, momentum)
                move_average(running_var, var, momentum, count / max(count - 1, 1))
    return out, mean, var


def _batch_samples(make: Make) -> Iterator[Sample]:
    for name, x, weight, bias in _cases(make):
        yield Sample((x, None, None, weight, bias, True), name=f"{name}_train")
        yield Sample((x, *_running(make, x), weight, bias), name=f"{name}_eval")
    x = make(3, 2, 4)
    yield Sample((x, *_running(make, x)), {"training": True, "momentum": 0.3}, name="running")


def _batch_errors(make: Make) -> Iterator[ErrorSample]:
    x = make(2, 3, 4)
    yield error(ValueError, "more than 1 value per channel", make(1, 3), None, None, training=True)
    yield error(RuntimeError, "running_mean should contain 3 elements not 4", x, make(4), make(3))
    yield error(RuntimeError, "must be defined in evaluation mode", x, None, None)
    yield error(ValueError, "both be None", x, None, make(3))


@composite(
    "batch_norm(Tensor input, Tensor? running_mean, Tensor? running_var, Tensor? weight=None, "
    "Tensor? bias=None, bool training=False, float momentum=0.1, float eps=1e-05) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, template="front",
    samples=_batch_samples, errors=_batch_errors,
)
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Any:
    """Zero mean and unit variance per channel of (N, C, *) over the batch, then affine.

    In training by the batch's statistics, and the running ones, if any, are moved towards them
    by ``momentum`` (the variance unbiased); else by the running ones.
    """
    _check(input, running_mean, running_var, weight, bias, training)
    if not input.numel() and input.ndim < 2:
        return input.clone()
    if training:
        return _train(input, weight, bias, running_mean, running_var, momentum, eps)[0]
    return batch_norm_eval(input, weight, bias, running_mean, running_var, eps)


@composite(
    "native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, "
    "Tensor? running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
    method=False, out=False, samples=lambda make: iter([
        Sample((x, weight, bias, *_running(make, x), training, 0.1, 1e-5),
               name=f"{name}_{training}")
        for training in (True, False) for name, x, weight, bias in _cases(make)]),
    errors=lambda make: iter([
        error(RuntimeError, "should contain 3 elements", make(2, 3, 4), make(4), None, None, None,
              True, 0.1, 1e-5)]),
)
def native_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, momentum: float, eps: float,
) -> tuple[Any, ...]:
    """``batch_norm``, with the batch's mean and reciprocal standard deviation (empty in eval)."""
    _check(input, running_mean, running_var, weight, bias, training)
    if not training:
        empty = input.new_empty((0,)).detach()
        return batch_norm_eval(
            input, weight, bias, running_mean, running_var, eps), empty, empty.clone()
    out, mean, var = _train(input, weight, bias, running_mean, running_var, momentum, eps)
    return out, mean, (1 / (wide(var) + eps).sqrt()).to(var.dtype)
