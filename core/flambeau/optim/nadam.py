"""NAdam."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.optim._checks import check_at_least_zero, check_betas, check_lr
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

__all__ = ["NAdam"]

_SCHEDULE = 0.96  # the base of the momentum's schedule in the paper


class NAdam(Elementwise):
    """Adam with Nesterov momentum (https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).

    Args:
        betas: decay rates of the two running means.
        weight_decay: adds ``weight_decay * p`` to the gradient, or shrinks ``p`` by
            ``lr * weight_decay`` with ``decoupled_weight_decay``.
        momentum_decay: how fast the momentum approaches ``betas[0]``.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:
        check_lr(lr, foreach, capturable)
        check_at_least_zero(eps, "epsilon value")
        check_betas(betas)
        check_at_least_zero(weight_decay, "weight_decay value")
        check_at_least_zero(momentum_decay, "momentum_decay value")
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable})

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        place = p.device if group["capturable"] else "cpu"
        return {
            "step": step_counter(p, group),
            "mu_product": fb.ones((), dtype=fb.float32, device=place),
            "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        lr, step = group["lr"], counted(state)
        if group["decoupled_weight_decay"]:
            p.mul_(1 - lr * group["weight_decay"])
        else:
            grad = decayed(p, grad, group)
        mu, mu_next = (
            beta1 * (1 - 0.5 * _SCHEDULE ** (s * group["momentum_decay"]))
            for s in (step, step + 1))
        state["mu_product"].mul_(mu)
        product = state["mu_product"].item()
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        move_mean(mean, grad, beta1)
        move_square(square, grad, beta2)
        spread = (square / (1 - beta2**step)).sqrt() + group["eps"]
        p.sub_(grad / spread * (lr * (1 - mu) / (1 - product)))
        p.sub_(mean / spread * (lr * mu_next / (1 - product * mu_next)))
