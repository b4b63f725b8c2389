"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.optim._checks import check_at_least_zero, check_lr
from flambeau.optim._elementwise import Elementwise, counted, decayed, zeros_like
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["ASGD"]


class ASGD(Elementwise):
    """Descends and averages the parameters on the way (Polyak and Juditsky, 1992).

    The average is in the state, as ``ax``.

    Args:
        lambd: decay of the parameters.
        alpha: power of the decay of the rate.
        t0: the step at which averaging starts.
        weight_decay: adds ``weight_decay * p`` to the gradient.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
        t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:
        check_lr(lr, foreach, capturable)
        check_at_least_zero(weight_decay, "weight_decay value")
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for of_param in self.state.values():
            for name in ("eta", "mu"):
                if name in of_param and not isinstance(of_param[name], Tensor):
                    of_param[name] = fb.tensor(of_param[name], dtype=fb.float32)

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        def number(value: float) -> Tensor:
            return fb.tensor(value, dtype=fb.float32, device=p.device)

        return {
            "step": number(0.0), "eta": number(float(group["lr"])), "mu": number(1.0),
            "ax": zeros_like(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        step, lambd = counted(state), group["lambd"]
        grad = decayed(p, grad, group)
        eta, mu, average = state["eta"].item(), state["mu"].item(), state["ax"]
        p.mul_(1 - lambd * eta)
        p.sub_(grad * eta)
        if mu == 1:
            average.copy_(p)
        else:
            average.add_((p - average) * mu)
        state["eta"].fill_(
            float(group["lr"]) / (1 + lambd * float(group["lr"]) * step) ** group["alpha"])
        state["mu"].fill_(1 / max(1.0, step - group["t0"]))
