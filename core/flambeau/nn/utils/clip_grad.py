"""Limiting gradients, by their norm or by their values."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import flambeau as fb
from flambeau.autograd.grad_mode import no_grad
from flambeau.ops.optim import foreach_mul_, total_norm
from flambeau.optim._lists import update
from flambeau.tensor import Tensor

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]

Tensors = Tensor | Iterable[Tensor]
_TINY = 1e-6  # keeps the factor finite for gradients of norm 0


@no_grad()
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors together, as one vector.

    Args:
        error_if_nonfinite: refuse a norm that is infinite or not a number.
        foreach: accepted; changes nothing.

    Raises:
        RuntimeError: if it is not finite and that is an error.
    """
    items = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    power = float(norm_type)
    if not items:
        return fb.tensor(0.0)
    total = _norm_of(items, power)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"The total norm of order {power} for gradients from `parameters` is non-finite, so "
            "it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`")
    return total


def _norm_of(items: list[Tensor], power: float) -> Tensor:
    if _are_of_one_kind(items):
        return total_norm(items, power)  # type: ignore[no-any-return]
    place = items[0].device
    norms: list[Any] = [fb.linalg.vector_norm(t, power) for t in items]
    norms = [t if t.device is place else t.to(place) for t in norms]
    return fb.linalg.vector_norm(fb.stack(norms), power)


def _are_of_one_kind(items: list[Tensor]) -> bool:
    kind = items[0]._kind
    return all(t._kind is kind for t in items)


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale gradients down by ``max_norm / total_norm`` if that is below 1, in place."""
    items = [parameters] if isinstance(parameters, Tensor) else parameters
    grads: list[Any] = [p.grad for p in items if p.grad is not None]
    if not grads:
        return
    # A factor of 1 is applied too: looking at its value would wait for the device.
    factor: Any = (float(max_norm) / (total_norm + _TINY)).clamp(max=1.0)
    if _are_of_one_kind([*grads, factor]):
        update(foreach_mul_, (grads, [factor]), (grads,))
        return
    for grad in grads:
        grad.mul_(factor if grad.device is factor.device else factor.to(grad.device))


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:
    """Scale gradients down, in place, so that their norm together is at most ``max_norm``.

    Returns:
        the norm before.
    """
    if isinstance(parameters, Tensor):
        items = [parameters]
    else:
        is_generator = iter(parameters) is parameters
        items = list(parameters)
        if is_generator and not items:
            warnings.warn(
                "`parameters` is an empty generator, no gradient clipping will occur.",
                stacklevel=2)
    grads = [p.grad for p in items if p.grad is not None]
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(items, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:
    """Deprecated name of :func:`clip_grad_norm_`."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(
    parameters: Tensors, clip_value: float, foreach: bool | None = None
) -> None:
    """Clip the values of gradients to [-clip_value, clip_value], in place."""
    items = [parameters] if isinstance(parameters, Tensor) else parameters
    bound = float(clip_value)
    for p in items:
        if p.grad is not None:
            p.grad.clamp_(-bound, bound)
