"""Adamax."""

from __future__ import annotations

from typing import Any

from flambeau.ops.pointwise import maximum
from flambeau.optim._checks import check_at_least_zero, check_betas, check_lr
from flambeau.optim._elementwise import (
    Elementwise,
    counted,
    decayed,
    move_mean,
    step_counter,
    zeros_like,
)
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["Adamax"]


class Adamax(Elementwise):
    """Adam by the infinity norm (https://arxiv.org/abs/1412.6980, section 7.1).

    Args:
        betas: decay rates of the mean and of the norm.
        eps: added to the absolute value of gradients.
        weight_decay: adds ``weight_decay * p`` to the gradient.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:
        check_lr(lr, foreach, capturable)
        check_at_least_zero(eps, "epsilon value")
        check_betas(betas)
        check_at_least_zero(weight_decay, "weight_decay value")
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable})

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_counter(p, group), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        step = counted(state)
        grad = decayed(p, grad, group)
        mean, norm = state["exp_avg"], state["exp_inf"]
        move_mean(mean, grad, beta1)
        norm.copy_(maximum(norm * beta2, grad.abs() + group["eps"]))
        p.sub_(mean / norm * (group["lr"] / (1 - beta1**step)))
