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
