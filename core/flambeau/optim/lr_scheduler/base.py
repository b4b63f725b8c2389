"""The base class of the schedules.

A schedule changes the rate from its present value, so that several can work on one optimizer;
asked for a given epoch it computes the rate from the first one, where it has a closed form.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from flambeau.optim.optimizer import Optimizer
from flambeau.tensor import Tensor

Rate = Any
"""A number, or a tensor of one element."""

EPOCH_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
    "possible. Please use `scheduler.step()` to step the scheduler. During the deprecation, if "
    "epoch is different from None, the closed form is used instead of the new chainable form, "
    "where available."
)


def values_of(optimizer: Optimizer, key: str) -> list[Rate]:
    """A setting of all groups; copies of tensors, which are changed in place."""
    return [
        g[key].clone() if isinstance(g[key], Tensor) else g[key] for g in optimizer.param_groups]


def set_value(group: dict[str, Any], key: str, value: Rate) -> None:
    """Change a setting of a group; a tensor stays the same object."""
    if isinstance(group[key], Tensor):
        group[key].fill_(value.item() if isinstance(value, Tensor) else value)
    else:
        group[key] = value


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group.

    Raises:
        ValueError: for a list of another length.
    """
    n = len(optimizer.param_groups)
    if isinstance(value, (list, tuple)):
        if len(value) != n:
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. {name} has "
                f"{len(value)} values, param_groups has {n}.")
        return list(value)
    return [value] * n


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is no optimizer.

    Raises:
        TypeError: naming its type.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


class LRScheduler:
    """Base of the schedules: derive, and write ``get_lr``.

    Args:
        optimizer: whose groups' ``lr`` is changed by ``step()``.
        last_epoch: the epoch to go on from; -1 to start.
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False
    _last_lr: list[Rate]
    _step_count: int

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]
                group.setdefault("initial_lr", lr.clone() if isinstance(lr, Tensor) else lr)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    "scheduler with last_epoch >= 0: load the optimizer's state first, or leave "
                    "last_epoch out to start anew")
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _watch(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the first rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    # ---- rates ---------------------------------------------------------------------------
    def get_last_lr(self) -> list[Rate]:
        """The rates that the last step set."""
        return self._last_lr

    def get_lr(self) -> list[Rate]:
        """The rates of the present epoch, computed from those of the groups; for subclasses."""
        raise NotImplementedError

    def _check_called_within_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use "
                "`get_last_lr()`.", UserWarning, stacklevel=3)

    def _changed(self, change: Callable[[Rate], Rate]) -> list[Rate]:
        """Every group's present rate, changed."""
        return [change(group["lr"]) for group in self.optimizer.param_groups]

    def _unchanged(self) -> list[Rate]:
        return values_of(self.optimizer, "lr")

    # ---- steps ---------------------------------------------------------------------------
    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch and set its rates; call it after the optimizer's ``step()``."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch "
                "1.1.0 and later, you should call them in the opposite order: `optimizer.step()` "
                "before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping "
                "the first value of the learning rate schedule.", UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = getattr(self, "_get_closed_form_lr", None)
        self._set(closed_form if epoch is not None and closed_form is not None else self.get_lr)

    def _set(self, compute: Callable[[], list[Rate]]) -> None:
        self._get_lr_called_within_step = True
        try:
            values = compute()
        finally:
            self._get_lr_called_within_step = False
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            set_value(group, "lr", lr)
        self._last_lr = values_of(self.optimizer, "lr")

    # ---- state ---------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict()`` gave."""
        self.__dict__.update(state_dict)


def _watch(optimizer: Any) -> None:
    """Have the optimizer note that it has stepped."""
    if hasattr(optimizer, "_opt_called"):
        return
    optimizer._opt_called = False

    def note(stepped: Any, args: Any, kwargs: Any) -> None:
        stepped._opt_called = True
        handle.remove()

    handle = optimizer.register_step_post_hook(note)


def functions_in_state(functions: list[Any]) -> list[Any]:
    """What is stored of functions: the attributes of those that are objects, nothing of others."""
    import types

    return [
        None if isinstance(f, types.FunctionType) else f.__dict__.copy() for f in functions]


def restore_functions(functions: list[Any], saved: list[Any]) -> None:
    """Give functions that are objects their attributes back."""
    for function, attributes in zip(functions, saved, strict=True):
        if attributes is not None:
            function.__dict__.update(attributes)
