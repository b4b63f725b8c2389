"""Adagrad."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import flambeau as fb
from flambeau.ops.optim import adagrad_step_
from flambeau.optim._checks import check_at_least_zero, check_implementation, check_lr
from flambeau.optim._elementwise import Elementwise, all_counted, run
from flambeau.optim.optimizer import ParamsT
from flambeau.tensor import Tensor

__all__ = ["Adagrad"]


class Adagrad(Elementwise):
    """Divides by the root of the sum of all squared gradients (Duchi et al., JMLR 12, 2011).

    Args:
        lr_decay: the rate is ``lr / (1 + (step - 1) * lr_decay)``.
        weight_decay: adds ``weight_decay * p`` to the gradient.
        initial_accumulator_value: what the sums start from.
    """

    _takes_sparse = True
    _added_settings: ClassVar[dict[str, Any]] = {**Elementwise._added_settings, "fused": None}

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_at_least_zero(lr_decay, "lr_decay value")
        check_at_least_zero(weight_decay, "weight_decay value")
        check_at_least_zero(initial_accumulator_value, "initial_accumulator_value value")
        check_at_least_zero(eps, "epsilon value")
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused})
        check_implementation(fused, foreach, differentiable)
        for group in self.param_groups:  # unlike others, with the optimizer
            for p in group["params"]:
                self.state[p].update(self._start(p, group))

    def share_memory(self) -> None:
        """Accepted for compatibility: the state stays in this process."""

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        value = self.defaults["initial_accumulator_value"]
        return {
            "step": fb.tensor(0.0, dtype=fb.float32),
            "sum": fb.full_like(
                p.detach(), complex(value, value) if p.dtype.is_complex else value,
                memory_format=fb.preserve_format)}

    def _step_group(self, params: list[Any], group: dict[str, Any]) -> None:
        states = self._states(params, group)
        steps = [counter.item() for counter in all_counted(states, group)]
        rates = [group["lr"] / (1 + (step - 1) * group["lr_decay"]) for step in steps]
        if "flambeau.sparse.tensor" in sys.modules:
            params, states, rates = _step_sparse(params, states, rates, group)
            if not params:
                return
        run(adagrad_step_, [params, [p._grad for p in params], [s["sum"] for s in states]], group,
            rates=rates,
            eps=group["eps"], weight_decay=group["weight_decay"], maximize=group["maximize"])


def _step_sparse(
    params: list[Any], states: list[Any], rates: list[Any], group: dict[str, Any]
) -> tuple[list[Any], list[Any], list[Any]]:
    """Step those whose gradients are sparse; the others, their states and rates."""
    from flambeau.sparse.rows import adagrad_step, is_sparse

    left: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for p, state, rate in zip(params, states, rates, strict=True):
        if is_sparse(p._grad):
            adagrad_step(p, p._grad, state["sum"], rate, group)
        else:
            for kept, value in zip(left, (p, state, rate), strict=True):
                kept.append(value)
    return left
