"""Resilient backpropagation."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.ops.compare import where
from flambeau.optim._checks import check_lr
from flambeau.optim._elementwise import Elementwise, counted, step_counter, zeros_like
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["Rprop"]


class Rprop(Elementwise):
    """Steps by signs, with sizes of their own per element (Riedmiller and Braun, 1993).

    Args:
        lr: the first step size.
        etas: factors of the step size where the sign has turned, and where it has stayed.
        step_sizes: least and greatest step size.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable})

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        lr = float(group["lr"])
        return {
            "step": step_counter(p, group), "prev": zeros_like(p),
            "step_size": fb.full_like(
                p.detach(), complex(lr, lr) if p.dtype.is_complex else lr,
                memory_format=fb.preserve_format)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        counted(state)
        (smaller, larger), (least, greatest) = group["etas"], group["step_sizes"]
        sign = (grad * state["prev"]).sign()
        factor = where(sign > 0, larger, where(sign < 0, smaller, 1.0))
        size = state["step_size"]
        size.copy_((size * factor).clamp(least, greatest))
        grad = where(sign < 0, 0.0, grad)  # no step where the sign has turned
        p.sub_(grad.sign() * size)
        state["prev"].copy_(grad)
