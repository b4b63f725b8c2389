"""RAdam."""

from __future__ import annotations

import math
from typing import Any

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

__all__ = ["RAdam"]


class RAdam(Elementwise):
    """Adam that adapts only once the variance can be told (https://arxiv.org/abs/1908.03265).

    Args:
        betas: decay rates of the two running means.
        weight_decay: adds ``weight_decay * p`` to the gradient, or shrinks ``p`` by
            ``lr * weight_decay`` with ``decoupled_weight_decay``.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr, foreach, capturable)
        check_at_least_zero(eps, "epsilon value")
        check_betas(betas)
        check_at_least_zero(weight_decay, "weight_decay value")
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable})

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_counter(p, group), "exp_avg": zeros_like(p),
            "exp_avg_sq": zeros_like(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        lr, step = group["lr"], counted(state)
        if group["decoupled_weight_decay"]:
            p.mul_(1 - lr * group["weight_decay"])
        else:
            grad = decayed(p, grad, group)
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        move_mean(mean, grad, beta1)
        move_square(square, grad, beta2)
        unbiased = mean / (1 - beta1**step)
        factor = _rectification(step, beta2)
        if factor is None:
            p.sub_(unbiased * lr)
        else:
            spread = square.sqrt() + group["eps"]
            p.sub_(unbiased * lr * (math.sqrt(1 - beta2**step) / spread) * factor)


def _rectification(step: float, beta2: float) -> float | None:
    """The factor of the adaptive step, None while the variance is too uncertain."""
    most = 2 / (1 - beta2) - 1
    now = most - 2 * step * beta2**step / (1 - beta2**step)  # length of the average, as it were
    if now <= 5.0:
        return None
    return math.sqrt(
        (now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now))
