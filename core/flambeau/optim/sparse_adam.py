"""Adam for gradients that are zero in most rows."""

from __future__ import annotations

from typing import Any

from flambeau.optim._checks import check_at_least_zero, check_betas
from flambeau.optim._elementwise import Elementwise, counted, step_counter, zeros_like
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["SparseAdam"]


class SparseAdam(Elementwise):
    """Adam that touches only rows with a gradient, neither the others' values nor their means.

    Meant for embeddings.  Gradients are dense here: rows that are zero count as without one.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        check_at_least_zero(lr, "learning rate")
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_counter(p, group), "exp_avg": zeros_like(p),
            "exp_avg_sq": zeros_like(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        step = counted(state)
        flat = (grad != 0).reshape(grad.shape[0], -1) if grad.ndim else (grad != 0).reshape(1, 1)
        rows = flat.any(1).reshape(grad.shape[:1] + (1,) * max(grad.ndim - 1, 0))
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean.add_((grad - mean) * (1 - beta1) * rows)
        square.add_((grad * grad - square) * (1 - beta2) * rows)
        size = group["lr"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        p.sub_(mean / (square.sqrt() + group["eps"]) * rows * size)
