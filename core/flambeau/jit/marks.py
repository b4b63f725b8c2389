"""Marks for a compiler: they are put where PyTorch puts them, and nothing reads them here."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

T = TypeVar("T")

_EXPORT = "export (compile this function even if nothing calls it)"
_IGNORE = "ignore (leave as a call to Python, cannot be torch.jit.save'd)"
_UNUSED = "unused (ignored and replaced with raising of an exception)"


def Attribute(value: T, type: Any) -> T:  # noqa: N802
    """The value: its type needs to be said only to a compiler."""
    return value


def annotate(the_type: Any, the_value: T) -> T:
    """The value: its type needs to be said only to a compiler."""
    return the_value


def export(fn: T) -> T:
    """Mark a method that a compiler is to take even if ``forward`` does not call it."""
    return _marked(fn, _EXPORT)


def unused(fn: T) -> T:
    """Mark a method that a compiler is to leave out; it can be called here."""
    if isinstance(fn, property):
        for part in (fn.fget, fn.fset):
            if part is not None:
                _marked(part, _UNUSED)
        return fn
    return _marked(fn, _UNUSED)


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Mark a method that a compiler is to leave to Python; with or without parentheses.

    Raises:
        RuntimeError: for what is neither a bool nor a function.
    """
    if callable(drop):
        return _marked(drop, _IGNORE)
    if not isinstance(drop, bool):
        raise RuntimeError(
            f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}"
        )
    drop_on_export = kwargs.pop("drop_on_export", None)
    if drop_on_export or drop:
        warnings.warn(
            "ignore(True) has been deprecated. TorchScript will now drop the function call on "
            "compilation. Use torch.jit.unused now.",
            category=FutureWarning,
            stacklevel=2,
        )
    mark = _UNUSED if drop_on_export or drop else _IGNORE
    return lambda fn: _marked(fn, mark)


def interface(obj: T) -> T:
    """The class: it needs no declaration here.

    Raises:
        RuntimeError: for what is no class.
    """
    if not isinstance(obj, type):
        raise RuntimeError("interface must be applied to a class")
    return obj


def _marked(fn: T, mark: str) -> T:
    fn._torchscript_modifier = mark  # type: ignore[attr-defined]
    return fn
