"""Stand-ins for names of torch that flambeau lacks: they can be imported, named and inherited from,
and raise when they are used."""

from __future__ import annotations

import functools
from types import FunctionType
from typing import Any, NoReturn

WHERE = "docs/parity.md of flambeau lists what there is"


class _MissingType(type):
    """A class, since programs derive from what they import, and ask ``isinstance``."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], FunctionType):
            return _decorated(cls, args[0])
        raise _refusal(cls)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return missing(f"{cls._missing}.{name}")

    def __getitem__(cls, item: Any) -> Any:
        return cls  # a generic class in an annotation

    def __repr__(cls) -> str:
        return f"<{cls._missing}, not in flambeau>"

    def __bool__(cls) -> bool:
        return False

    def __instancecheck__(cls, instance: object) -> bool:
        return False


def _refusal(cls: Any) -> NotImplementedError:
    return NotImplementedError(f"{cls._missing} is not in flambeau: {WHERE}")


def _decorated(cls: Any, function: FunctionType) -> Any:
    """What a stand-in makes of a function as its decorator: it is used when that is called."""

    @functools.wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise _refusal(cls)

    return refuse


def missing(name: str) -> Any:
    """A stand-in for ``torch.some.name``."""
    return _MissingType(name.rpartition(".")[2], (), {"_missing": name, "__module__": "torch"})


def is_missing(value: object) -> bool:
    """Whether a value is such a stand-in."""
    return isinstance(value, _MissingType)
