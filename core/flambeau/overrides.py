"""Tensor subclasses that see the calls made on them (``__torch_function__``).

Only calls on tensors of such a subclass pay for it: the class hides ``_plain`` from the short ways,
which then leave the call to the long way, where it is looked at.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flambeau.registry import Op

OVERRIDING: Final[set[type]] = set()
"""Subclasses whose tensors are looked at: all but those that opt out."""


class _State(threading.local):
    disabled: bool = False


_state: Final = _State()


class DisableTorchFunctionSubclass:
    """Within the block, subclasses are treated as plain tensors."""

    def __enter__(self) -> None:
        self._before = _state.disabled
        _state.disabled = True

    def __exit__(self, *exc: object) -> None:
        _state.disabled = self._before


def disabled(cls: type, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """A ``__torch_function__`` that treats the subclass as a plain tensor, as Parameter does."""
    return NotImplemented


def register(cls: type) -> None:
    """Note a new subclass; called when it is defined."""
    implementation = getattr(cls, "__torch_function__", None)
    if getattr(implementation, "__func__", implementation) is not disabled:
        OVERRIDING.add(cls)
        cls._plain = property(_refuse)  # type: ignore[attr-defined]


def _refuse(self: Any) -> Any:
    raise TypeError(f"{type(self).__name__} sees every call")


def handle(op: Op, args: tuple[Any, ...]) -> Any:
    """The result of a call on a subclass, or NotImplemented to let it go on."""
    if not OVERRIDING or _state.disabled:
        return NotImplemented
    from flambeau.dispatch import tensors_of

    kinds = list(dict.fromkeys(type(t) for t in tensors_of(op, args)))
    kinds = [k for k in kinds if k in OVERRIDING]
    if not kinds:
        return NotImplemented
    kinds.sort(key=lambda k: -len(k.__mro__))  # a subclass before the class that it derives from
    positional, named = op.schema.unbind(args)
    for kind in kinds:
        result = kind.__torch_function__(
            op.function, tuple(kinds), positional, named)
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"no implementation found for '{op.name}' on types that implement __torch_function__: "
        f"{kinds}")


def keep_class(cls: type, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function with subclasses as plain tensors, and make its results of the subclass."""
    with DisableTorchFunctionSubclass():
        return _convert(func(*args, **kwargs), cls)


def _convert(value: Any, cls: type) -> Any:
    from flambeau.tensor import Tensor

    if type(value) is Tensor:
        return value.as_subclass(cls)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_convert(v, cls) for v in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_convert(v, cls) for v in value)
    return value
