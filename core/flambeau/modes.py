"""The first dispatch key: whoever wants to see every call before it runs.

``ACTIVE`` has one entry per mode that is on in any thread; while it is empty, and no subclass of
``Tensor`` asks to see calls, the call path does not even look at the thread's stack.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from flambeau import overrides
from flambeau.overrides import OVERRIDING

if TYPE_CHECKING:
    from flambeau.registry import Op

__all__ = ["ACTIVE", "OVERRIDING", "DispatchMode", "drawn", "intercept", "is_watched"]

ACTIVE: Final[list[object]] = []


class _Stack(threading.local):
    modes: tuple[DispatchMode, ...] = ()
    whole: tuple[DispatchMode, ...] = ()
    """Of the call that a mode is being asked about: all modes, those within that mode too."""


_stack: Final = _Stack()


class DispatchMode:
    """Intercepts calls of this thread while entered; the innermost mode sees a call first."""

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """The result of a call, or ``NotImplemented`` to let it go on.

        The mode itself is off while this runs, so it may call ops.
        """
        raise NotImplementedError

    def handle_write(self, op: Op, args: tuple[Any, ...]) -> Any:
        """The first argument, after the in-place form of an op has run, or ``NotImplemented``."""
        return NotImplemented

    def handle_draw(self, shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Any]) -> Any:
        """A tensor of random numbers, ``draw(shape)`` or what stands for it."""
        return draw(shape)

    def handle_like(self, t: Any, make: Callable[..., Any], args: Any, options: Any) -> Any:
        """A new tensor ``make(t, *args, **options)`` like another, or ``NotImplemented``."""
        return NotImplemented

    def handle_function(self, function: Any, args: tuple[Any, ...]) -> Any:
        """The outputs of a call of a user's ``autograd.Function``, or ``NotImplemented``."""
        return NotImplemented

    def __enter__(self) -> Any:
        _stack.modes = (*_stack.modes, self)
        ACTIVE.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _stack.modes = _stack.modes[:-1]
        ACTIVE.remove(self)


def is_watched(*values: Any) -> bool:
    """Whether a mode is on, or one of the values is a tensor of a class that sees every call."""
    if ACTIVE:
        return True
    return bool(OVERRIDING) and not OVERRIDING.isdisjoint(map(type, values))


def every_sample(t: Any) -> Any:
    """The tensor, or all samples of it within ``vmap``; to check whether elements are valid."""
    while ACTIVE and getattr(t, "is_sample", False):
        t = t._value
    return t


def stacked() -> tuple[DispatchMode, ...]:
    """The modes of this thread, outermost first."""
    return _stack.modes


@contextmanager
def all_on() -> Iterator[None]:
    """Within the context, which a mode that is being asked enters, all modes are on again."""
    before, _stack.modes = _stack.modes, _stack.whole
    try:
        yield
    finally:
        _stack.modes = before


def _offered(ask: Callable[[DispatchMode], Any]) -> Any:
    """What the first mode of this thread answers, innermost first, that answers at all."""
    modes, outer = _stack.modes, _stack.whole
    try:
        for i in range(len(modes) - 1, -1, -1):
            _stack.modes, _stack.whole = modes[:i], modes
            result = ask(modes[i])
            if result is not NotImplemented:
                return result
    finally:
        _stack.modes, _stack.whole = modes, outer
    return NotImplemented


def intercept_write(op: Op, args: tuple[Any, ...]) -> Any:
    """Offer the in-place form of an op to the modes of this thread."""
    return _offered(lambda mode: mode.handle_write(op, args))


def intercept_function(function: Any, args: tuple[Any, ...]) -> Any:
    """Offer a call of a user's ``autograd.Function`` to the modes of this thread."""
    return _offered(lambda mode: mode.handle_function(function, args))


def per_sample(t: Any, make: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Offer the making of a tensor like another to the modes of this thread."""
    return _offered(lambda mode: mode.handle_like(t, make, args, options))


def drawn(shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Any]) -> Any:
    """A tensor of random numbers as the modes of this thread want it drawn."""
    modes = _stack.modes
    for mode in modes:  # the outermost one is asked last
        draw = functools.partial(mode.handle_draw, draw=draw)
    return draw(shape)


def intercept(op: Op, args: tuple[Any, ...]) -> Any:
    """Offer a call to the modes of this thread, innermost first, then to its arguments' classes."""
    modes, outer = _stack.modes, _stack.whole
    try:
        for i in range(len(modes) - 1, -1, -1):
            _stack.modes, _stack.whole = modes[:i], modes
            result = modes[i].handle(op, args)
            if result is not NotImplemented:
                return result
    finally:
        _stack.modes, _stack.whole = modes, outer
    return overrides.handle(op, args)
