"""Stochastic gradient descent."""

from __future__ import annotations

import sys
from typing import Any

from flambeau.ops.optim import sgd_step_
from flambeau.optim._checks import check_at_least_zero, check_implementation, check_lr
from flambeau.optim._lists import update
from flambeau.optim.optimizer import Closure, Optimizer, ParamsT
from flambeau.tensor import Tensor

__all__ = ["SGD"]


class SGD(Optimizer):
    """``p -= lr * g``, or with momentum ``b = momentum * b + (1 - dampening) * g; p -= lr * b``.

    Args:
        weight_decay: adds ``weight_decay * p`` to the gradient.
        nesterov: steps by ``g + momentum * b``.
        maximize: climbs in place of descending.
        foreach, fused: accepted; all parameters are updated at once in any case.
        differentiable: record the step for autograd.
    """

    _takes_sparse = True

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: Any = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_at_least_zero(momentum, "momentum value")
        check_at_least_zero(weight_decay, "weight_decay value")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening,
            "weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize,
            "foreach": foreach, "differentiable": differentiable, "fused": fused})
        check_implementation(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in (
                ("nesterov", False), ("maximize", False), ("foreach", None),
                ("differentiable", False), ("fused", None),
            ):
                group.setdefault(name, value)

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters by their gradients; see :meth:`Optimizer.step`."""
        loss = self._evaluate(closure)
        with self._grad_mode():
            for group in self.param_groups:
                params = self._dense([p for p in group["params"] if p._grad is not None], group)
                if not params:
                    continue
                if not group["momentum"]:
                    self._update(group, params, [], group["dampening"])
                    continue
                old = [p for p in params if self.state[p].get("momentum_buffer") is not None]
                new = [p for p in params if self.state[p].get("momentum_buffer") is None]
                self._update_with_buffers(group, old, group["dampening"])
                for p in new:
                    self.state[p]["momentum_buffer"] = _zeros_like(p._grad)
                self._update_with_buffers(group, new, 0.0)  # which makes the buffers the gradients
        return loss

    def _dense(self, params: list[Any], group: dict[str, Any]) -> list[Any]:
        """The parameters whose gradients are dense, after a step of those whose are sparse."""
        if "flambeau.sparse.tensor" not in sys.modules:
            return params
        from flambeau.sparse.rows import is_sparse, sgd_step

        for p in params:
            if is_sparse(p._grad):
                sgd_step(p, p._grad, self.state[p], group)
        return [p for p in params if not is_sparse(p._grad)]

    def _update_with_buffers(
        self, group: dict[str, Any], params: list[Tensor], dampening: float
    ) -> None:
        if params:
            buffers = [self.state[p]["momentum_buffer"] for p in params]
            self._update(group, params, buffers, dampening)

    def _update(
        self, group: dict[str, Any], params: list[Any], buffers: list[Tensor], dampening: float
    ) -> None:
        lists = (params, [p._grad for p in params], buffers)
        settings = {
            "lr": group["lr"], "momentum": group["momentum"], "dampening": dampening,
            "weight_decay": group["weight_decay"], "nesterov": group["nesterov"],
            "maximize": group["maximize"]}
        if group["differentiable"]:
            sgd_step_.op.decompose(*lists, **settings)  # type: ignore[attr-defined]
        else:
            update(sgd_step_, lists, (params, buffers), **settings)


def _zeros_like(grad: Any) -> Tensor:
    from flambeau.ops.create import zeros_like

    return zeros_like(grad.detach())
