"""The first dispatch key: whoever wants to see every call before it runs.

``ACTIVE`` has one entry per mode that is on in any thread; while it is empty, and no subclass of
``Tensor`` asks to see calls, the call path does not even look at the thread's stack.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from flambeau import overrides
from flambeau.overrides import OVERRIDING

if TYPE_CHECKING:
    from flambeau.registry import Op

__all__ = ["ACTIVE", "OVERRIDING", "DispatchMode", "intercept", "is_watched"]

ACTIVE: Final[list[object]] = []


class _Stack(threading.local):
    modes: tuple[DispatchMode, ...] = ()


_stack: Final = _Stack()


class DispatchMode:
    """Intercepts calls of this thread while entered; the innermost mode sees a call first."""

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """The result of a call, or ``NotImplemented`` to let it go on.

        The mode itself is off while this runs, so it may call ops.
        """
        raise NotImplementedError

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


def intercept(op: Op, args: tuple[Any, ...]) -> Any:
    """Offer a call to the modes of this thread, innermost first, then to its arguments' classes."""
    modes = _stack.modes
    try:
        for i in range(len(modes) - 1, -1, -1):
            _stack.modes = modes[:i]
            result = modes[i].handle(op, args)
            if result is not NotImplemented:
                return result
    finally:
        _stack.modes = modes
    return overrides.handle(op, args)
