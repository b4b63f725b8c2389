"""Rates by functions of the epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.optim.lr_scheduler.base import (
    LRScheduler,
    Rate,
    functions_in_state,
    restore_functions,
)
from flambeau.optim.optimizer import Optimizer

__all__ = ["LambdaLR", "MultiplicativeLR"]

Function = Callable[[int], float]


class _ByFunctions(LRScheduler):
    """One function for all groups, or a list of one for each."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Function | list[Function], last_epoch: int = -1
    ) -> None:
        n = len(optimizer.param_groups)
        if isinstance(lr_lambda, (list, tuple)):
            if len(lr_lambda) != n:
                raise ValueError(f"Expected {n} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * n
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of functions only those that are objects."""
        state = super().state_dict()
        state["lr_lambdas"] = functions_in_state(self.lr_lambdas)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict()`` gave; the functions stay this schedule's own."""
        state = dict(state_dict)
        saved = state.pop("lr_lambdas")
        super().load_state_dict(state)
        restore_functions(self.lr_lambdas, saved)


class LambdaLR(_ByFunctions):
    """The first rate times ``lr_lambda(epoch)``."""

    def get_lr(self) -> list[Rate]:
        """The rates of the present epoch."""
        self._check_called_within_step()
        return [
            base * function(self.last_epoch)
            for function, base in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(_ByFunctions):
    """The present rate times ``lr_lambda(epoch)``."""

    def get_lr(self) -> list[Rate]:
        """The rates of the present epoch."""
        self._check_called_within_step()
        if self._is_initial:
            return self._unchanged()
        return [
            group["lr"] * function(self.last_epoch)
            for function, group in zip(
                self.lr_lambdas, self.optimizer.param_groups, strict=True)]
