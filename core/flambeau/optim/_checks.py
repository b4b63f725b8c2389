"""Settings that optimizers share, checked."""

from __future__ import annotations

from typing import Any

from flambeau.tensor import Tensor


def check_lr(lr: Any, foreach: bool | None = None, capturable: bool = False) -> None:
    """Refuse a learning rate that is negative, or a tensor of several elements.

    Raises:
        ValueError: saying which.
    """
    if isinstance(lr, Tensor):
        if foreach and not capturable:
            raise ValueError(
                "lr as a Tensor is not supported for capturable=False and foreach=True")
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
    check_at_least_zero(lr, "learning rate")


def check_at_least_zero(value: Any, what: str) -> None:
    """Refuse a negative number.

    Raises:
        ValueError: naming it.
    """
    if not value >= 0.0:
        raise ValueError(f"Invalid {what}: {value}")


def check_betas(betas: Any) -> None:
    """Refuse decay rates outside [0, 1).

    Raises:
        ValueError: naming the first that is.
    """
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_implementation(
    fused: bool | None, foreach: bool | None, differentiable: bool
) -> None:
    """Refuse flags that exclude each other; the flags themselves change nothing here.

    Raises:
        RuntimeError: naming both.
    """
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
