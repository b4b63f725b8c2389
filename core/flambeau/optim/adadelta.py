"""Adadelta."""

from __future__ import annotations

from typing import Any

from flambeau.optim._checks import check_at_least_zero, check_lr
from flambeau.optim._elementwise import (
    Elementwise,
    counted,
    decayed,
    move_square,
    step_counter,
    zeros_like,
)
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["Adadelta"]


class Adadelta(Elementwise):
    """Steps in the units of the parameters (https://arxiv.org/abs/1212.5701).

    Args:
        rho: decay rate of the means of squared gradients and steps.
        eps: added under the roots.
        weight_decay: adds ``weight_decay * p`` to the gradient.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_at_least_zero(eps, "epsilon value")
        check_at_least_zero(weight_decay, "weight_decay value")
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable})

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_counter(p, group), "square_avg": zeros_like(p),
            "acc_delta": zeros_like(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        counted(state)
        rho, eps = group["rho"], group["eps"]
        grad = decayed(p, grad, group)
        square, steps = state["square_avg"], state["acc_delta"]
        move_square(square, grad, rho)
        delta = (steps + eps).sqrt() / (square + eps).sqrt() * grad
        move_square(steps, delta, rho)
        p.sub_(delta * group["lr"])
