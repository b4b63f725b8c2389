"""From which size on a kernel in C takes over from NumPy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np

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
    """Kernels in C by op: what they decline (``NotImplemented``), NumPy's kernel does.

    Args:
        threshold: changes the sizes from which on kernels are used, as the environment says.
        is_off: use none.
    """

    def __init__(
        self, threshold: Callable[[int], int] = threshold, is_off: bool = IS_OFF
    ) -> None:
        self._threshold, self._is_off = threshold, is_off
        self.fresh: dict[str, tuple[int, Function]] = {}
        self.out: dict[str, tuple[int, Function]] = {}
        self.inputs: dict[str, int] = {}
        self.made: dict[str, Callable[[Function], Function]] = {}

    def fresh_form(self, *names: str, at: int, inputs: int = 0) -> Callable[[F], F]:
        """Decorator: a ``fresh`` form, for first arguments of at least ``at`` elements.

        Args:
            inputs: how many arguments come by position, where that is always the same: small arrays
                then pass to NumPy's kernel in a third of the time.
        """

        def add(function: F) -> F:
            for name in names:
                self.fresh[name] = (self._threshold(at), function)
                self.inputs[name] = inputs
            return function

        return add

    def out_form(self, *names: str, at: int, inputs: int = 0) -> Callable[[F], F]:
        """Decorator: an ``out`` form, for outputs of at least ``at`` elements.

        Args:
            inputs: as for :meth:`fresh_form`, ``out`` not counted.
        """

        def add(function: F) -> F:
            for name in names:
                self.out[name] = (self._threshold(at), function)
                if inputs:
                    self.inputs[f"{name}.out"] = inputs + 1
            return function

        return add

    def around(self, name: str) -> Callable[[Callable[[Function], Function]], Any]:
        """Decorator: makes a ``fresh`` form from NumPy's, where the first argument is no array."""

        def add(make: Callable[[Function], Function]) -> Any:
            self.made[name] = make
            return make

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
        self.inputs.update(other.inputs)
        self.made.update(other.made)

    def over(self, table: KernelTable) -> KernelTable:
        """NumPy's kernels with these in front of them."""
        if self._is_off:
            return table
        result = KernelTable(dict(table.out), dict(table.fresh))
        for name, (at, native) in self.fresh.items():
            result.fresh[name] = chosen(
                table.fresh.get(name), native, at, self.inputs.get(name, 0))
        for name, (at, native) in self.out.items():
            result.out[name] = chosen(
                table.out.get(name), native, at, self.inputs.get(f"{name}.out", 0))
        for name, make in self.made.items():
            result.fresh[name] = make(table.fresh[name])
        return result


def chosen(plain: Function | None, native: Function, at: int, inputs: int = 0) -> Function:
    """A kernel that asks the one in C for large first arguments (``out`` is one), then NumPy's.

    Where ``plain`` is such a choice itself, arrays too small for either go straight to the last.

    Args:
        inputs: how many arguments come by position; 0 if that varies, ``REDUCTION`` for one with
            the settings ``dim`` and ``keepdim``.
    """
    if plain is None:

        def alone(x: Any, *rest: Any, **settings: Any) -> Any:
            return native(x, *rest, **settings) if getattr(x, "size", 0) >= at else NotImplemented

        return alone
    last = getattr(plain, "last", plain)
    low = min(at, getattr(plain, "low", at))
    forms = _PLAIN_FORMS if isinstance(plain, np.ufunc) else _FORMS
    choose: Any = forms.get(inputs, _any)(plain, native, at, last, low)
    choose.last, choose.low = last, low
    return choose  # type: ignore[no-any-return]


def _any(plain: Function, native: Function, at: int, last: Function, low: int) -> Function:
    def choose(x: Any, *rest: Any, **settings: Any) -> Any:
        size = getattr(x, "size", 0)
        if size < low:
            return last(x, *rest, **settings)
        if size >= at:
            result = native(x, *rest, **settings)
            if result is not NotImplemented:
                return result
        return plain(x, *rest, **settings)

    return choose


def _unary(plain: Function, native: Function, at: int, last: Function, low: int) -> Function:
    def choose(x: Any, **settings: Any) -> Any:
        size = x.size
        if size < low:
            return last(x, **settings) if settings else last(x)
        if size >= at:
            result = native(x, **settings)
            if result is not NotImplemented:
                return result
        return plain(x, **settings)

    return choose


def _binary(plain: Function, native: Function, at: int, last: Function, low: int) -> Function:
    def choose(a: Any, b: Any, **settings: Any) -> Any:
        try:
            size = a.size
        except AttributeError:  # a number
            size = getattr(b, "size", 0)
        if size < low:
            return last(a, b, **settings) if settings else last(a, b)
        if size >= at:
            result = native(a, b, **settings)
            if result is not NotImplemented:
                return result
        return plain(a, b, **settings)

    return choose


def _ternary(plain: Function, native: Function, at: int, last: Function, low: int) -> Function:
    def choose(a: Any, b: Any, c: Any, **settings: Any) -> Any:
        size = a.size if a.__class__ is np.ndarray else 0
        if size < low:
            return last(a, b, c, **settings) if settings else last(a, b, c)
        if size >= at:
            result = native(a, b, c, **settings)
            if result is not NotImplemented:
                return result
        return plain(a, b, c, **settings)

    return choose


def _reduction(plain: Function, native: Function, at: int, last: Function, low: int) -> Function:
    def choose(x: Any, dim: Any, keepdim: Any) -> Any:
        size = x.size
        if size < low:
            return last(x, dim, keepdim)
        if size >= at:
            result = native(x, dim, keepdim)
            if result is not NotImplemented:
                return result
        return plain(x, dim, keepdim)

    return choose


def _unary_plain(plain: Function, native: Function, at: int, last: Function, low: int) -> Function:
    def choose(x: Any) -> Any:
        if x.size < at:
            return plain(x)
        result = native(x)
        return plain(x) if result is NotImplemented else result

    return choose


def _binary_plain(
    plain: Function, native: Function, at: int, last: Function, low: int
) -> Function:
    def choose(a: Any, b: Any) -> Any:
        try:
            if a.size < at:
                return plain(a, b)
        except AttributeError:  # a number
            if getattr(b, "size", 0) < at:
                return plain(a, b)
        result = native(a, b)
        return plain(a, b) if result is NotImplemented else result

    return choose


REDUCTION: Final = -1
_FORMS: Final[dict[int, Callable[[Function, Function, int, Function, int], Function]]] = {
    1: _unary, 2: _binary, 3: _ternary, REDUCTION: _reduction}
_PLAIN_FORMS: Final = {1: _unary_plain, 2: _binary_plain}
"""For NumPy's universal functions, which come without settings."""
