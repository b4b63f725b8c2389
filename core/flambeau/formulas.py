"""Scalar formulas that hold for some dtypes only; see :attr:`flambeau.registry.Op.formula`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Formula = Callable[..., str | None]


def _categories(arguments: dict[str, Any]) -> list[int]:
    """Of the tensors among the arguments."""
    return [x.dtype.category for x in arguments.values() if hasattr(x, "dtype")]


def for_reals(text: str) -> Formula:
    """Where no tensor is complex."""
    return lambda **arguments: text if max(_categories(arguments)) < 3 else None


def for_floats(text: str) -> Formula:
    """Where all tensors are floating."""
    return lambda **arguments: text if set(_categories(arguments)) == {2} else None


def for_quotients(text: str) -> Formula:
    """Where all tensors are floating, or are integers divided by a number: whether a tensor has a
    divisor of 0 can only be known by looking at it.

    Raises:
        RuntimeError: (from the formula) for integers divided by the number 0.
    """

    def formula(**arguments: Any) -> str | None:
        kinds, divisor = set(_categories(arguments)), arguments["other"]
        if kinds == {1} and not hasattr(divisor, "dtype"):
            if divisor == 0:
                raise RuntimeError("ZeroDivisionError")
            return text
        return text if kinds == {2} else None

    return formula
