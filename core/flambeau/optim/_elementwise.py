"""Base of the optimizers that update one parameter after the other in elementwise ops, or all of
a group by one op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import flambeau as fb
from flambeau.ops.optim import foreach_add_
from flambeau.optim._lists import update
from flambeau.optim.adam import as_real, steps_as_tensor
from flambeau.optim.optimizer import Closure, Optimizer
from flambeau.tensor import Tensor


class Elementwise(Optimizer):
    """Subclasses write how the state of a parameter starts and how one parameter is updated.

    Complex parameters are updated as pairs of real numbers.
    """

    _added_settings: ClassVar[dict[str, Any]] = {
        "foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    """Settings that states saved by old versions lack, with what they stand for."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self._added_settings.items():
                if name in self.defaults:
                    group.setdefault(name, value)
            for p in group["params"]:
                steps_as_tensor(self.state.get(p, {}))

    def _start(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        raise NotImplementedError

    def _update(self, p: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Update one parameter; writes to it and to the tensors of the state."""
        raise NotImplementedError

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters by their gradients; see :meth:`Optimizer.step`."""
        loss = self._evaluate(closure)
        with self._grad_mode():
            for group in self.param_groups:
                params = [p for p in group["params"] if p._grad is not None]
                if params:
                    self._step_group(params, group)
        return loss

    def _step_group(self, params: list[Any], group: dict[str, Any]) -> None:
        """Update the parameters of a group that have gradients."""
        for p in params:
            self._step_one(p, group)

    def _states(self, params: list[Any], group: dict[str, Any]) -> list[dict[str, Any]]:
        """The states of parameters, started where they are new."""
        states = [self.state[p] for p in params]
        for p, state in zip(params, states, strict=True):
            if not state:
                state.update(self._start(p, group))
        return states

    def _step_one(self, p: Any, group: dict[str, Any]) -> None:
        state, = self._states([p], group)
        grad = -p._grad if group.get("maximize") else p._grad
        if p.dtype.is_complex:
            p, grad = fb.view_as_real(p), fb.view_as_real(grad)
            state = {
                k: fb.view_as_real(v) if isinstance(v, Tensor) and v.dtype.is_complex else v
                for k, v in state.items()}
        self._update(p, grad, state, group)


def step_counter(p: Tensor, group: dict[str, Any]) -> Tensor:
    """The number of steps so far as a tensor, on the parameter's device if it is to be captured."""
    place = p.device if group.get("capturable") else "cpu"
    counter: Tensor = fb.zeros((), dtype=fb.float32, device=place)
    return counter


def all_counted(states: list[dict[str, Any]], group: dict[str, Any]) -> list[Tensor]:
    """Count a step of several parameters; the counters."""
    counters = [state["step"] for state in states]
    if group["differentiable"]:
        for counter in counters:
            counter.add_(1)
    else:
        update(foreach_add_, (counters,), (counters,), value=1.0)
    return counters


def run(
    function: Any, lists: Sequence[list[Any]], group: dict[str, Any], **settings: Any
) -> None:
    """Run the op of a step on parameters, gradients and state, and on pairs for complex numbers."""
    real = [as_real(tensors) for tensors in lists]
    if group["differentiable"]:
        function.op.decompose(*real, **settings)
    else:
        update(function, real, (real[0], *real[2:]), **settings)


def counted(state: dict[str, Any]) -> float:
    """Count a step; its number, from 1."""
    state["step"].add_(1)
    return state["step"].item()  # type: ignore[no-any-return]


def zeros_like(p: Tensor) -> Tensor:
    """Zeros in the memory order of a parameter."""
    return fb.zeros_like(p, memory_format=fb.preserve_format)


def decayed(p: Any, grad: Any, group: dict[str, Any]) -> Any:
    """The gradient with weight decay added."""
    decay = group["weight_decay"]
    return grad if decay == 0 else grad + p * decay


def move_mean(mean: Any, value: Any, beta: float) -> None:
    """``mean = beta * mean + (1 - beta) * value``, in place."""
    mean.add_((value - mean) * (1 - beta))


def move_square(square: Any, value: Any, beta: float) -> None:
    """``square = beta * square + (1 - beta) * value**2``, in place."""
    square.mul_(beta).add_(value * value * (1 - beta))
