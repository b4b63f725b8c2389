"""Adam for gradients that are zero in most rows."""

from __future__ import annotations

from typing import Any

from flambeau.ops.facts import strided
from flambeau.optim._checks import check_at_least_zero, check_betas
from flambeau.optim._elementwise import Elementwise, counted, step_counter, zeros_like
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["SparseAdam"]


class SparseAdam(Elementwise):
    """Adam that touches only rows with a gradient, neither the others' values nor their means.

    Gradients are sparse tensors, as ``Embedding(sparse=True)`` gives them.
    """

    _takes_sparse = True

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
        found = [
            [g, i] for g, group in enumerate(self.param_groups)
            for i, p in enumerate(group["params"]) if p.layout is not strided]
        if found:
            raise ValueError(
                f"Sparse params at indices {found}: SparseAdam requires dense parameter tensors")

    def _step_group(self, params: list[Any], group: dict[str, Any]) -> None:
        if any(p._grad.layout is strided for p in params):
            raise RuntimeError(
                "SparseAdam does not support dense gradients, please consider Adam instead")
        super()._step_group(params, group)

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_counter(p, group), "exp_avg": zeros_like(p),
            "exp_avg_sq": zeros_like(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        from flambeau.sparse.rows import Rows

        beta1, beta2 = group["betas"]
        step = counted(state)
        rows = Rows(grad)
        if not rows.count:
            return
        g = rows.values
        mean, square = rows.read(state["exp_avg"]), rows.read(state["exp_avg_sq"])
        mean = mean + (g - mean) * (1 - beta1)
        square = square + (g * g - square) * (1 - beta2)
        rows.write(state["exp_avg"], mean)
        rows.write(state["exp_avg_sq"], square)
        size = group["lr"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        rows.write(p, rows.read(p) - mean / (square.sqrt() + group["eps"]) * size)
