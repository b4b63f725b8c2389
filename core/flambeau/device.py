"""Devices by name: ``"cpu"``, ``"opencl:1"``, ``"mydevice"``."""

from __future__ import annotations

import threading
from typing import Any


class device:
    """A device type and an optional index.

    ``device("cuda:1")``, ``device("cuda", 1)``, ``device(1)`` is not accepted: name the type.
    The type need not be installed; that is found out when a tensor is placed there.
    """

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __new__(cls, type: str | device, index: int | None = None) -> device:
        """The one instance of this type and index."""
        if isinstance(type, device):
            return type
        if not isinstance(type, str):
            raise TypeError(
                f"device(): argument 'type' must be str or device, not {type.__class__.__name__}"
            )
        name, colon, number = type.partition(":")
        if colon:
            if index is not None:
                raise RuntimeError(
                    f"'type' must not include an index because one was passed: {type}")
            if not number.isdecimal() or (len(number) > 1 and number[0] == "0"):
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        if not name.isidentifier():
            raise RuntimeError(f"Invalid device string: '{type}'")
        name = aliases.get(name, name)
        key = (name, index)
        found = _interned.get(key)
        if found is None:
            found = object.__new__(cls)
            object.__setattr__(found, "type", name)
            object.__setattr__(found, "index", index)
            found = _interned.setdefault(key, found)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"attribute '{name}' of 'device' objects is not writable")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        tail = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{tail})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (device, (self.type, self.index))

    def __copy__(self) -> device:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> device:
        return self

    def __enter__(self) -> device:
        defaults.stack = (*defaults.stack, self)
        return self

    def __exit__(self, *exc: object) -> None:
        defaults.stack = defaults.stack[:-1]


_interned: dict[tuple[str, int | None], device] = {}

aliases: dict[str, str] = {}
"""Names that stand for another type, set by :mod:`flambeau.as_torch`: ``cuda`` for ``opencl``."""


class _DefaultDevice(threading.local):
    """Where factory functions put new tensors: set globally, or by ``with device(...)``."""

    stack: tuple[device, ...] = ()


defaults = _DefaultDevice()
CPU = device("cpu")
META = device("meta")


def get_default_device() -> device:
    """The device of new tensors when none is named."""
    return defaults.stack[-1] if defaults.stack else CPU


def set_default_device(where: str | device | None) -> None:
    """Place new tensors of this thread on a device; ``None`` returns to the CPU."""
    defaults.stack = () if where is None else (device(where),)
