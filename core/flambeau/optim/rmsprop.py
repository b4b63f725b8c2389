"""RMSprop."""

from __future__ import annotations

from typing import Any

from flambeau.optim._checks import check_at_least_zero, check_lr
from flambeau.optim._elementwise import (
    Elementwise,
    counted,
    decayed,
    move_mean,
    move_square,
    step_counter,
    zeros_like,
)
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(Elementwise):
    """Divides by the root of the running mean of squared gradients (Hinton's lecture 6).

    Args:
        alpha: decay rate of the mean.
        eps: added to the root.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        momentum: of the steps.
        centered: divide by the estimated standard deviation (https://arxiv.org/abs/1308.0850).
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False,
        capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_zero(eps, "epsilon value")
        check_at_least_zero(momentum, "momentum value")
        check_at_least_zero(weight_decay, "weight_decay value")
        check_at_least_zero(alpha, "alpha value")
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable})

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": step_counter(p, group), "square_avg": zeros_like(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = zeros_like(p)
        return state

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        counted(state)
        grad = decayed(p, grad, group)
        square = state["square_avg"]
        move_square(square, grad, group["alpha"])
        if group["centered"]:
            mean = state["grad_avg"]
            move_mean(mean, grad, group["alpha"])
            square = square - mean * mean
        step = grad / (square.sqrt() + group["eps"])
        if group["momentum"] > 0:
            step = state["momentum_buffer"].mul_(group["momentum"]).add_(step)
        p.sub_(step * group["lr"])
