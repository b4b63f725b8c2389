"""From which size on a kernel in C takes over from NumPy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

from flambeau.backend import KernelTable

F = TypeVar("F", bound=Callable[..., Any])
Function = Callable[..., Any]

_SETTING: Final = os.environ.get("FLAMBEAU_CPU_NATIVE", "")
IS_OFF: Final = _SETTING == "0"
EVERY_SIZE: Final = _SETTING == "all"


def threshold(elements: int) -> int:
    """A size in elements, as the environment changes it: none or every array is large enough."""
    if IS_OFF:
        return sys.maxsize
    return 0 if EVERY_SIZE else elements


class NativeTable:
    """Kernels in C by op: what they decline (``NotImplemented``), NumPy's kernel does."""

    def __init__(self) -> None:
        self.fresh: dict[str, tuple[int, Function]] = {}
        self.out: dict[str, tuple[int, Function]] = {}

    def fresh_form(self, *names: str, at: int) -> Callable[[F], F]:
        """Decorator: a ``fresh`` form, for first arguments of at least ``at`` elements."""

        def add(function: F) -> F:
            for name in names:
                self.fresh[name] = (threshold(at), function)
            return function

        return add

    def out_form(self, *names: str, at: int) -> Callable[[F], F]:
        """Decorator: an ``out`` form, for outputs of at least ``at`` elements."""

        def add(function: F) -> F:
            for name in names:
                self.out[name] = (threshold(at), function)
            return function

        return add

    def merge(self, other: NativeTable) -> None:
        """Take over the kernels of another table.

        Raises:
            ValueError: if two are registered for one op.
        """
        for mine, theirs in ((self.fresh, other.fresh), (self.out, other.out)):
            if twice := mine.keys() & theirs.keys():
                raise ValueError(f"two kernels in C are registered for {sorted(twice)}")
            mine.update(theirs)

    def over(self, table: KernelTable) -> KernelTable:
        """NumPy's kernels with these in front of them."""
        if IS_OFF:
            return table
        result = KernelTable(dict(table.out), dict(table.fresh))
        for name, (at, native) in self.fresh.items():
            result.fresh[name] = chosen(table.fresh.get(name), native, at)
        for name, (at, native) in self.out.items():
            result.out[name] = chosen(table.out.get(name), native, at)
        return result


def chosen(plain: Function | None, native: Function, at: int) -> Function:
    """A kernel that asks the one in C for large first arguments (``out`` is one), then NumPy's."""
    if plain is None:

        def alone(x: Any, *rest: Any, **settings: Any) -> Any:
            return native(x, *rest, **settings) if getattr(x, "size", 0) >= at else NotImplemented

        return alone

    def choose(x: Any, *rest: Any, **settings: Any) -> Any:
        if getattr(x, "size", 0) >= at:
            result = native(x, *rest, **settings)
            if result is not NotImplemented:
                return result
        return plain(x, *rest, **settings)

    return choose
