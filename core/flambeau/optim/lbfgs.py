"""Limited-memory BFGS."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.autograd.grad_mode import enable_grad, no_grad
from flambeau.optim._checks import check_lr
from flambeau.optim._line_search import strong_wolfe
from flambeau.optim.optimizer import Closure, Optimizer, ParamsT
from flambeau.tensor import Tensor

__all__ = ["LBFGS"]

_CURVATURE = 1e-10  # least curvature of a pair that is remembered


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last gradients (Nocedal and Wright, algorithm 7.4).

    The closure is evaluated several times in a step.  One group of parameters only.

    Args:
        max_iter: iterations per step.
        max_eval: evaluations per step, ``max_iter * 5 / 4`` by default; a line search has what
            is left of them.
        tolerance_grad: stop when no gradient is greater.
        tolerance_change: stop when steps and losses change by less, line searches excepted.
        history_size: how many pairs are remembered.
        line_search_fn: "strong_wolfe" or None.
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_lr(lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    def step(self, closure: Closure) -> Any:  # type: ignore[override]
        """Run up to ``max_iter`` iterations.

        Args:
            closure: computes the loss again, gradients included.

        Returns:
            the loss before the step.
        """
        def evaluate() -> Any:
            with enable_grad():
                return closure()

        with no_grad():
            return _Step(self, evaluate).run()

    # ---- all parameters as one vector ------------------------------------------------------
    def _flat_grad(self) -> Any:
        parts = []
        for p in self._params:
            grad = p.new_zeros(p.shape) if p.grad is None else p.grad
            parts.append((fb.view_as_real(grad) if grad.dtype.is_complex else grad).reshape(-1))
        return fb.cat(parts, 0)

    def _move(self, distance: float, direction: Any) -> None:
        at = 0
        for p in self._params:
            part: Any = fb.view_as_real(p) if p.dtype.is_complex else p
            n = part.numel()
            part.add_(direction[at : at + n].reshape(part.shape) * distance)
            at += n

    def _put(self, values: list[Tensor]) -> None:
        for p, value in zip(self._params, values, strict=True):
            p.copy_(value)


class _Step:
    """One step: the state is taken from the optimizer and put back at the end."""

    def __init__(self, optimizer: LBFGS, evaluate: Closure) -> None:
        self.optimizer, self.evaluate = optimizer, evaluate
        self.group = optimizer.param_groups[0]
        self.state = optimizer.state[optimizer._params[0]]
        self.state.setdefault("func_evals", 0)
        self.state.setdefault("n_iter", 0)
        self.lr = float(self.group["lr"])

    def run(self) -> Any:
        group, state = self.group, self.state
        original = self.evaluate()
        self.loss = float(original)
        self.evaluations = 1
        state["func_evals"] += 1
        self.grad = self.optimizer._flat_grad()
        if self._is_optimal():
            return original
        for name in ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad",
                     "prev_loss"):
            state.setdefault(name)
        iterations = 0
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            direction = self._direction()
            state["prev_flat_grad"] = self.grad.clone()
            state["prev_loss"] = before = self.loss
            t = self.lr
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / float(self.grad.abs().sum())) * self.lr
            slope = float(self.grad.dot(direction))
            if slope > -group["tolerance_change"]:
                state["d"], state["t"] = direction, t
                break
            t, optimal = self._search(t, direction, slope, last=iterations == group["max_iter"])
            state["d"], state["t"] = direction, t
            if (
                iterations == group["max_iter"] or self.evaluations >= group["max_eval"]
                or optimal
                or float((direction * t).abs().max()) <= group["tolerance_change"]
                or abs(self.loss - before) < group["tolerance_change"]
            ):
                break
        return original

    def _is_optimal(self) -> bool:
        return bool(self.grad.abs().max() <= self.group["tolerance_grad"])

    def _direction(self) -> Any:
        """Minus the approximate inverse Hessian times the gradient, by two loops."""
        state = self.state
        if state["n_iter"] == 1:
            state["old_dirs"], state["old_stps"], state["ro"] = [], [], []
            state["H_diag"] = 1
            return -self.grad
        y = self.grad - state["prev_flat_grad"]
        s = state["d"] * state["t"]
        ys = y.dot(s)
        if float(ys) > _CURVATURE:
            if len(state["old_dirs"]) == self.group["history_size"]:
                for name in ("old_dirs", "old_stps", "ro"):
                    state[name].pop(0)
            state["old_dirs"].append(y)
            state["old_stps"].append(s)
            state["ro"].append(1.0 / ys)
            state["H_diag"] = ys / y.dot(y)
        ys_list, s_list, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if "al" not in state:
            state["al"] = [None] * self.group["history_size"]
        al = state["al"]
        q = -self.grad
        for i in range(len(ys_list) - 1, -1, -1):
            al[i] = s_list[i].dot(q) * ro[i]
            q = q - ys_list[i] * al[i]
        direction = q * state["H_diag"]
        for i in range(len(ys_list)):
            beta = ys_list[i].dot(direction) * ro[i]
            direction = direction + s_list[i] * (al[i] - beta)
        return direction

    def _search(
        self, t: float, direction: Any, slope: float, last: bool
    ) -> tuple[float, bool]:
        """Move along a direction; how far, and whether the gradient has vanished."""
        method, optimizer = self.group["line_search_fn"], self.optimizer
        if method is None:
            optimizer._move(t, direction)
            if last:
                return t, False
            self.loss = float(self.evaluate())
            self.grad = optimizer._flat_grad()
            self.evaluations += 1
            self.state["func_evals"] += 1
            return t, self._is_optimal()
        if method != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        start = [p.clone() for p in optimizer._params]

        def at(distance: float) -> tuple[float, Any]:
            optimizer._move(distance, direction)
            loss = float(self.evaluate())
            grad = optimizer._flat_grad()
            optimizer._put(start)
            return loss, grad

        self.loss, self.grad, t, evaluations = strong_wolfe(
            at, t, direction, self.loss, self.grad, slope,
            max_ls=self.group["max_eval"] - self.evaluations)
        optimizer._move(t, direction)
        self.evaluations += evaluations
        self.state["func_evals"] += evaluations
        return t, self._is_optimal()
