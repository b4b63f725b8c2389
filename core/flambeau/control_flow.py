"""Branches and loops as functions: what is captured as one op elsewhere is run at once here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau.tensor import Tensor

__all__ = ["cond", "while_loop"]


def _truth(name: str, value: Any) -> bool:
    """A condition as a bool.

    Raises:
        RuntimeError: for what is neither a bool nor a bool tensor of one element.
    """
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise RuntimeError(
                f"{name}: expected a condition of one element, got shape {list(value.shape)}")
        return bool(value)
    if isinstance(value, (bool, int, float)):
        return bool(value)
    raise RuntimeError(
        f"{name}: expected a condition that is a bool or a tensor of one element, got "
        f"{type(value).__name__}")


def cond(
    pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any],
    operands: Sequence[Any] = (),
) -> Any:
    """What one of two functions of the operands returns, as a condition says.

    Args:
        pred: a bool, a number, or a tensor of one element.

    Raises:
        RuntimeError: for another condition, or what is no function, or no tuple of operands.
    """
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("cond: expected both branches to be callable")
    if not isinstance(operands, (tuple, list)):
        raise RuntimeError(
            f"cond: expected a tuple or list of operands, got {type(operands).__name__}")
    return (true_fn if _truth("cond", pred) else false_fn)(*operands)


def while_loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Sequence[Any]
) -> Any:
    """Replace values by what ``body_fn`` makes of them, as long as ``cond_fn`` of them holds.

    Args:
        carried_inputs: tensors and numbers; the function returns as many, of the same shapes and
            dtypes.

    Raises:
        RuntimeError: if the body returns something else.
    """
    if not isinstance(carried_inputs, (tuple, list)):
        raise RuntimeError(
            f"while_loop: expected a tuple or list of values, got {type(carried_inputs).__name__}")
    values = tuple(carried_inputs)
    while _truth("while_loop", cond_fn(*values)):
        found = body_fn(*values)
        made = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if list(map(_facts, values)) != list(map(_facts, made)):
            raise RuntimeError(
                "while_loop: expected body_fn to return values like the ones it was given, got "
                f"{list(map(_facts, made))} for {list(map(_facts, values))}")
        values = made
    return values


def _facts(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype, value.device
    return type(value).__name__
