"""Normalisation over groups of channels, over single channels, and over neighbouring channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flambeau.fused  # noqa: F401  call paths
from flambeau.autograd.grad_mode import MODE, no_grad
from flambeau.layout import product
from flambeau.ops.avg_pool import avg_pool_windows
from flambeau.ops.batch_norm import batch_norm_eval, move_average
from flambeau.ops.layer_norm import check_parameter_dtypes, moments, rows_back, wide
from flambeau.registry import composite
from flambeau.samples import Make, Sample, error
from flambeau.tensor import Tensor


# ---- the internal ops --------------------------------------------------------------------------
def _cases(make: Make) -> Iterator[tuple[str, Tensor, Any, Any, int]]:
    yield "affine", make(2, 4, 3, 2), make(4), make(4), 2
    yield "plain", make(2, 6, 3), None, None, 3
    yield "single_group", make(3, 4), make(4), make(4), 1
    yield "single_channels", make(2, 3, 2, 2, 2), make(3), None, 3
    yield "transposed", make(4, 3, 2).transpose(0, 2), make(3), make(3), 3
    yield "no_batch", make(0, 4, 3), make(4), make(4), 2


def _samples(make: Make) -> Iterator[Sample]:
    for name, x, weight, bias, groups in _cases(make):
        yield Sample((x, weight, bias, groups, 1e-5), name=name)


def _grads_samples(make: Make) -> Iterator[Sample]:
    for name, x, weight, _, groups in _cases(make):
        stats = [t.detach().squeeze(-1) for t in moments(_rows(x.detach(), groups), (2,), 1e-5)]
        yield Sample(
            (make(*x.shape), x, *stats, weight, groups, 1e-5, True, weight is not None, True),
            name=name)


def _rows(x: Tensor, groups: int) -> Tensor:
    """(N, groups, elements of a group)."""
    shape = x.shape
    width = product(shape[1:]) // groups
    result: Tensor = x.reshape((shape[0], groups, width))
    return result


def _per_channel(p: Tensor, ndim: int) -> Tensor:
    """(C, 1, ...): broadcasts against (N, C, ...)."""
    result: Tensor = p.reshape((-1, *(1,) * (ndim - 2)))
    return result


def _back(
    g: Tensor, needs: tuple[bool, ...], input: Tensor, weight: Tensor | None, num_groups: int,
    eps: float, mean: Tensor, rstd: Tensor,
) -> tuple[Any, ...]:
    grads: tuple[Any, ...] = group_norm_grads(
        g, input, mean, rstd, weight, num_groups, eps, *needs)
    return grads


@composite(
    "group_norm_stats(Tensor input, Tensor? weight, Tensor? bias, int num_groups, float eps) "
    "-> (Tensor out, Tensor mean, Tensor rstd)",
    method=False, out=False, namespaces=("_internal",), joint=_back, template="fused",
    samples=_samples,
)
def group_norm_stats(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, num_groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``group_norm``, with the mean and reciprocal standard deviation of every group."""
    check_parameter_dtypes("group_norm", input, weight, bias)
    shape = input.shape
    rows = _rows(wide(input), num_groups)
    mean, rstd = moments(rows, (2,), eps)
    out = ((rows - mean) * rstd).reshape(shape)
    out = out if weight is None else out * _per_channel(weight, input.ndim)
    out = out if bias is None else out + _per_channel(bias, input.ndim)
    held = input.dtype if weight is None else weight.dtype
    return out.to(input.dtype), mean.squeeze(-1).to(held), rstd.squeeze(-1).to(held)


@composite(
    "group_norm_grads(Tensor grad, Tensor input, Tensor mean, Tensor rstd, Tensor? weight, "
    "int num_groups, float eps, bool for_input, bool for_weight, bool for_bias) "
    "-> (Tensor, Tensor, Tensor)",
    namespaces=("_internal",), method=False, out=False, template="fused",
    samples=_grads_samples,
)
def group_norm_grads(
    grad: Tensor, input: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor | None,
    num_groups: int, eps: float, for_input: bool, for_weight: bool, for_bias: bool,
) -> tuple[Any, ...]:
    """The gradients of ``group_norm`` for input, weight and bias; None where not wanted."""
    g, x = wide(grad), wide(input)
    rows = _rows(x, num_groups)
    if MODE.enabled or x is not input:  # they depend on the input, or were rounded
        mean, rstd = moments(rows, (2,), eps)
    else:
        mean, rstd = mean.unsqueeze(-1), rstd.unsqueeze(-1)
    xhat = (rows - mean) * rstd
    but_channels = (0, *range(2, input.ndim))
    dx = None
    if for_input:
        gx = g if weight is None else g * _per_channel(weight, input.ndim)
        dx = rows_back(_rows(gx, num_groups), xhat, rstd, (2,)).reshape(input.shape)
    return (
        dx, (g * xhat.reshape(input.shape)).sum(but_channels) if for_weight else None,
        g.sum(but_channels) if for_bias else None,
    )


# ---- group norm --------------------------------------------------------------------------------
def _check_groups(
    input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None
) -> None:
    """Refuse what PyTorch refuses.

    Raises:
        RuntimeError: for shapes that do not fit.
        ValueError: if a group would be a single element.
    """
    shape = list(input.shape)
    if input.ndim < 2:
        raise RuntimeError(
            f"group_norm: Expected at least 2 dimensions for input tensor but received "
            f"{input.ndim}")
    if num_groups <= 0:
        raise RuntimeError(
            f"group_norm: Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {shape} and num_groups={num_groups}")
    for word, p in (("weight", weight), ("bias", bias)):
        if p is not None and list(p.shape) != shape[1:2]:
            raise RuntimeError(
                f"Expected {word} to be a vector of size equal to the number of channels in "
                f"input, but got {word} of shape {list(p.shape)} and input of shape {shape}")
    if product(shape) // num_groups == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {shape}")


@composite(
    "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, "
    "float eps=1e-05, bool cudnn_enabled=True) -> Tensor",
    namespaces=("", "nn.functional"), method=False, out=False, template="front",
    samples=lambda make: iter([
        Sample((x, groups, weight, bias), name=name)
        for name, x, weight, bias, groups in _cases(make)]),
    errors=lambda make: iter([
        error(RuntimeError, "divisible by num_groups", make(2, 3, 4), 2),
        error(RuntimeError, "number of channels", make(2, 3, 4), 3, make(4)),
        error(ValueError, "more than 1 value per channel", make(1, 3), 3)]),
)
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5, cudnn_enabled: bool = True,
) -> Any:
    """Zero mean and unit variance over each group of channels of (N, C, *), then affine.

    ``weight`` and ``bias`` have one value per channel.
    """
    _check_groups(input, num_groups, weight, bias)
    return group_norm_stats(input, weight, bias, num_groups, eps)[0]


@composite(
    "native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, "
    "int group, float eps) -> (Tensor, Tensor, Tensor)",
    method=False, out=False, samples=lambda make: iter([
        Sample((x, weight, bias, x.shape[0], x.shape[1], product(x.shape[2:]), groups, 1e-5),
               name=name)
        for name, x, weight, bias, groups in _cases(make)]),
    errors=lambda make: iter([
        error(RuntimeError, "divisible by num_groups", make(2, 4, 3), None, None, 2, 4, 3, 3, 1e-5),
        error(RuntimeError, "number of channels", make(2, 4, 3), make(3), None, 2, 4, 3, 2, 1e-5)]),
)
def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None,
    N: int, C: int, HxW: int, group: int, eps: float,  # noqa: N803  PyTorch's names
) -> tuple[Any, ...]:
    """``group_norm``, and each group's mean and reciprocal standard deviation (N, group)."""
    _check_groups(input, group, weight, bias)
    out, _, _ = group_norm_stats(input, weight, bias, group, eps)
    held = input.dtype if weight is None else weight.dtype
    mean, rstd = moments(_rows(wide(input), group), (2,), eps)
    return out, mean.squeeze(-1).to(held), rstd.squeeze(-1).to(held)


# ---- instance norm -----------------------------------------------------------------------------
def _instance_samples(make: Make) -> Iterator[Sample]:
    x = make(2, 3, 4, 2)
    yield Sample((x,), name="plain")
    yield Sample((x,), {"weight": make(3), "bias": make(3)}, name="affine")
    stats = (make(3, requires_grad=False), make(3, low=0.5, high=2, requires_grad=False))
    yield Sample((x, *stats), {"use_input_stats": False, "weight": make(3)}, name="running")


@composite(
    "instance_norm(Tensor input, Tensor? running_mean=None, Tensor? running_var=None, "
    "Tensor? weight=None, Tensor? bias=None, bool use_input_stats=True, float momentum=0.1, "
    "float eps=1e-05) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False, template="front",
    samples=_instance_samples,
    errors=lambda make: iter([
        error(ValueError, "more than 1 spatial element", make(2, 3, 1)),
        error(RuntimeError, "to be defined", make(2, 3, 4), use_input_stats=False),
        error(RuntimeError, "should contain", make(2, 3, 4), weight=make(4))]),
)
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Any:
    """Zero mean and unit variance over every channel of every sample, then affine.

    With ``use_input_stats`` False by the running statistics instead, which are else updated.
    """
    channels = input.shape[1] if input.ndim > 1 else 0
    for word, t in (("running_mean", running_mean), ("running_var", running_var),
                    ("weight", weight), ("bias", bias)):
        if t is not None and list(t.shape) != [channels]:
            raise RuntimeError(
                f"instance_norm: {word} should contain {channels} elements not {t.numel()}")
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm_eval(input, weight, bias, running_mean, running_var, eps)
    if product(input.shape[2:]) == 1 or input.ndim < 3:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}")
    out, mean, _ = group_norm_stats(input, weight, bias, channels, eps)
    if running_mean is not None and running_var is not None:
        with no_grad():
            move_average(running_mean, mean.mean(0), momentum)
            var = input.flatten(2).var(2).mean(0)
            move_average(running_var, var, momentum)
    return out


# ---- local response norm -----------------------------------------------------------------------
@composite(
    "local_response_norm(Tensor input, int size, float alpha=0.0001, float beta=0.75, "
    "float k=1.0) -> Tensor",
    namespaces=("nn.functional",), method=False, out=False,
    samples=lambda make: iter([
        Sample((make(2, 5, 4, 3), 3), {"alpha": 0.5}, name="odd"),
        Sample((make(2, 5, 4), 2), {"alpha": 0.5, "beta": 0.5, "k": 2.0}, name="even")]),
    errors=lambda make: iter([
        error(ValueError, "3D or higher", make(3, 4), 2),
        error(RuntimeError, "greater than zero", make(2, 3, 4), 0)]),
)
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """``x / (k + alpha * mean of squares over size neighbouring channels) ** beta``."""
    if input.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if size <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {size}")
    if not input.numel():
        return input
    shape = input.shape
    squares = (input * input).reshape((shape[0], 1, shape[1], product(shape[2:])))
    half = size // 2  # windows are centred; an even size has one more channel before than after
    means = avg_pool_windows(squares, (size, 1), (1, 1), (half, 0), False, True, None)
    means = means.narrow(2, 0, shape[1]).reshape(shape)
    return input / (means * alpha + k) ** beta
