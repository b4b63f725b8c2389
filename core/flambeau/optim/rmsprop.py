"""RMSprop."""

from __future__ import annotations

from typing import Any

from flambeau.ops.optim import rmsprop_step_
from flambeau.optim._checks import check_at_least_zero, check_lr
from flambeau.optim._elementwise import Elementwise, all_counted, run, step_counter, zeros_like
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

    def _step_group(self, params: list[Any], group: dict[str, Any]) -> None:
        states = self._states(params, group)
        all_counted(states, group)
        used = {"square_avg": True, "grad_avg": group["centered"],
                "momentum_buffer": group["momentum"] > 0}
        lists = [[s[name] for s in states] if is_used else [] for name, is_used in used.items()]
        run(rmsprop_step_, [params, [p._grad for p in params], *lists], group, lr=group["lr"],
            alpha=group["alpha"], eps=group["eps"], weight_decay=group["weight_decay"],
            momentum=group["momentum"], maximize=group["maximize"])
