"""Adam."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.ops.optim import adam_step_, foreach_add_
from flambeau.optim._checks import (
    check_at_least_zero,
    check_betas,
    check_implementation,
    check_lr,
)
from flambeau.optim._lists import update
from flambeau.optim.optimizer import Closure, Optimizer, ParamsT
from flambeau.tensor import Tensor

__all__ = ["Adam"]


class Adam(Optimizer):
    """Steps by the mean of the gradients over the root of the mean of their squares.

    https://arxiv.org/abs/1412.6980

    Args:
        betas: decay rates of the two running means.
        eps: added to the root.
        weight_decay: adds ``weight_decay * p`` to the gradient, or shrinks ``p`` by
            ``lr * weight_decay`` with ``decoupled_weight_decay``.
        amsgrad: divides by the greatest root so far (https://openreview.net/forum?id=ryQu7f-RZ).
        maximize: climbs in place of descending.
        foreach, fused: accepted; all parameters are updated at once in any case.
        capturable: keep the number of steps on the parameter's device.
        differentiable: record the step for autograd.
    """

    _instead = ", please consider SparseAdam instead"

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_lr(lr, foreach, capturable)
        check_at_least_zero(eps, "epsilon value")
        check_betas(betas)
        check_at_least_zero(weight_decay, "weight_decay value")
        if isinstance(betas[0], Tensor) is not isinstance(betas[1], Tensor):
            raise ValueError("betas must be either both floats or both Tensors")
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay})
        check_implementation(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in (
                ("amsgrad", False), ("maximize", False), ("foreach", None),
                ("capturable", False), ("differentiable", False), ("fused", None),
                ("decoupled_weight_decay", False),
            ):
                group.setdefault(name, value)
            for p in group["params"]:
                steps_as_tensor(self.state.get(p, {}))

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters by their gradients; see :meth:`Optimizer.step`."""
        loss = self._evaluate(closure)
        with self._grad_mode():
            for group in self.param_groups:
                params = [p for p in group["params"] if p._grad is not None]
                if params:
                    self._update(group, params)
        return loss

    def _update(self, group: dict[str, Any], params: list[Any]) -> None:
        states = [self.state[p] for p in params]
        amsgrad = group["amsgrad"]
        for p, state in zip(params, states, strict=True):
            if not state:
                _start(state, p, amsgrad, group["capturable"] or group["fused"])
        names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if amsgrad else [])]
        lists = [params, [p._grad for p in params], *([s[n] for s in states] for n in names)]
        lists = [as_real(x) for x in lists] + ([] if amsgrad else [[]])
        count = [s["step"] for s in states]
        beta1, beta2 = group["betas"]
        settings = {
            "lr": group["lr"], "beta1": beta1, "beta2": beta2, "eps": group["eps"],
            "weight_decay": group["weight_decay"], "maximize": group["maximize"],
            "decoupled": group["decoupled_weight_decay"]}
        if group["differentiable"]:
            for step in count:
                step.add_(1)
            adam_step_.op.decompose(*lists, count, **settings)  # type: ignore[attr-defined]
            return
        update(foreach_add_, (count,), (count,), value=1.0)
        steps = [step.item() for step in count]
        update(adam_step_, lists, (lists[0], *lists[2:]), steps=steps, **_numbers(settings))


def _start(state: dict[str, Any], p: Tensor, amsgrad: bool, on_device: Any) -> None:
    state["step"] = fb.zeros((), dtype=fb.float32, device=p.device if on_device else "cpu")
    state["exp_avg"] = fb.zeros_like(p, memory_format=fb.preserve_format)
    state["exp_avg_sq"] = fb.zeros_like(p, memory_format=fb.preserve_format)
    if amsgrad:
        state["max_exp_avg_sq"] = fb.zeros_like(p, memory_format=fb.preserve_format)


def _numbers(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with numbers in place of tensors of one element."""
    return {k: v.item() if isinstance(v, Tensor) else v for k, v in settings.items()}


def as_real(tensors: list[Any]) -> list[Any]:
    """Complex tensors as pairs of real numbers, over the same memory."""
    if not any(kind.dtype.is_complex for kind in {t._kind for t in tensors}):
        return tensors
    return [fb.view_as_real(t) if t.dtype.is_complex else t for t in tensors]


def steps_as_tensor(state: dict[str, Any]) -> None:
    """States of old kept the number of steps as a Python number."""
    if "step" in state and not isinstance(state["step"], Tensor):
        state["step"] = fb.tensor(float(state["step"]), dtype=fb.float32)
