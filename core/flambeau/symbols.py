"""Arithmetic that PyTorch has for sizes that may be symbols; sizes here are always numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flambeau.tensor import Tensor

__all__ = [
    "sym_float", "sym_fresh_size", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not",
    "sym_sqrt", "sym_sum",
]


def sym_int(a: Any) -> int:
    """A number rounded towards zero, as an integer."""
    return int(a)


def sym_float(a: Any) -> float:
    """A number as a float."""
    return float(a)


def sym_not(a: Any) -> bool:
    """Whether a condition does not hold."""
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """The greater of two numbers, a float if one of them is."""
    return _as_either(max(a, b), a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The lesser of two numbers, a float if one of them is."""
    return _as_either(min(a, b), a, b)


def _as_either(value: Any, a: Any, b: Any) -> Any:
    return float(value) if isinstance(a, float) or isinstance(b, float) else value


def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """The second value if a condition holds, else the third.

    Raises:
        TypeError: if the values are of different types, or the condition is no bool.
    """
    if not isinstance(b, bool) or type(t) is not type(f):
        raise TypeError(
            f"sym_ite(): expected a bool and two values of one type, got {type(b).__name__}, "
            f"{type(t).__name__} and {type(f).__name__}")
    return t if b else f


def sym_sqrt(a: Any) -> float:
    """The square root of a number."""
    return math.sqrt(a)


def sym_sum(args: Sequence[Any]) -> Any:
    """The sum of some numbers."""
    return sum(args)


def sym_fresh_size(expr: Any) -> int:
    """A size as it is."""
    return int(expr.item() if isinstance(expr, Tensor) else expr)
