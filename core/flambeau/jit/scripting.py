"""``script``, ``trace`` and the classes of what a compiler would give.  Nothing is compiled."""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from flambeau.nn import Module

T = TypeVar("T")


class Error(Exception):
    """What code of a compiled function raises in PyTorch; nothing here raises it."""


class ScriptModule(Module):
    """A module to derive from, as modules for the compiler were once written."""


class RecursiveScriptModule(ScriptModule):
    """What the compiler would make of a module: ``script`` gives the module itself instead."""


class ScriptFunction:
    """What the compiler would make of a function: ``script`` gives the function itself instead."""


def script(
    obj: T,
    optimize: None = None,
    _frames_up: int = 0,
    _rcb: Any = None,
    example_inputs: Any = None,
) -> T:
    """The function, module or class itself: nothing is compiled.

    Args:
        obj: a function, a module, a class, or a list or dict of such.
        optimize: accepted for PyTorch's sake, as what follows is.
    """
    return obj


def script_method(fn: T) -> T:
    """The method itself."""
    return fn


def script_if_tracing(fn: T) -> T:
    """The function itself: nothing is traced."""
    return fn


def trace(
    func: T,
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    example_kwarg_inputs: Any = None,
    **others: Any,
) -> T:
    """The function or module itself; it is not run on the inputs.

    Unlike a trace it goes on to decide by the values that it is given.
    """
    return func


def trace_module(
    mod: T,
    inputs: dict[str, Any],
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    **others: Any,
) -> T:
    """The module itself; its methods are not run on the inputs.

    Raises:
        AttributeError: if ``inputs`` is no dictionary of the names of methods.
    """
    if not isinstance(inputs, dict):
        raise AttributeError("expected a dictionary of (method_name, input) pairs")
    return mod


def is_scripting() -> bool:
    """Always False: code runs eagerly."""
    return False


def is_tracing() -> bool:
    """Always False: code runs eagerly."""
    return False


class CompilationUnit:
    """Functions from a text: TorchScript is a part of Python, and runs as Python here.

    Args:
        lang: definitions of functions.  They see ``torch`` (this package), ``Tensor``, and the
            names of types that TorchScript knows.  The text is run: give it none that you do not
            trust.
    """

    def __init__(self, lang: str | None = None) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        if lang is not None:
            self.define(lang)

    def define(self, lang: str) -> None:
        """Add the functions of a text.

        Raises:
            SyntaxError: for what is no Python.
        """
        import flambeau

        scope: dict[str, Any] = {
            "torch": flambeau,
            "Tensor": flambeau.Tensor,
            "Future": flambeau.jit.Future,
            **{
                name: getattr(typing, name)
                for name in ("Any", "Dict", "Final", "List", "Optional", "Tuple", "Union")
            },
            **self._functions,
        }
        before = set(scope)
        exec(compile(textwrap.dedent(lang), "<CompilationUnit>", "exec"), scope)
        for name in set(scope) - before - {"__builtins__"}:
            if callable(scope[name]):
                self._functions[name] = scope[name]

    def get_functions(self) -> list[Callable[..., Any]]:
        """All functions."""
        return list(self._functions.values())

    def find_function(self, name: str) -> Callable[..., Any] | None:
        """The function of a name, None if there is none."""
        return self._functions.get(name)

    def drop_all_functions(self) -> None:
        """Forget all functions."""
        self._functions.clear()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            return self.__dict__["_functions"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"'CompilationUnit' has no attribute '{name}'") from None
