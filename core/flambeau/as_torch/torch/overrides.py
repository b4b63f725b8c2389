"""``torch.overrides``: subclasses that see the calls made on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flambeau import Tensor
from flambeau.dispatch import tensors_of
from flambeau.modes import DispatchMode
from flambeau.overrides import OVERRIDING
from flambeau.registry import Op


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether an argument's class has ``__torch_function__`` and is no plain tensor."""
    return any(
        type(arg) in OVERRIDING
        or (not isinstance(arg, Tensor) and hasattr(type(arg), "__torch_function__"))
        for arg in relevant_args)


def has_torch_function_unary(obj: Any) -> bool:
    """``has_torch_function`` of one argument."""
    return has_torch_function((obj,))


def has_torch_function_variadic(*args: Any) -> bool:
    """``has_torch_function`` of several arguments."""
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """The result of the first ``__torch_function__`` that gives one.

    Raises:
        TypeError: if none does.
    """
    found = [arg for arg in relevant_args if has_torch_function((arg,))]
    kinds = tuple(dict.fromkeys(type(arg) for arg in found))
    for arg in found:
        result = type(arg).__torch_function__(public_api, kinds, args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"no implementation found for '{public_api.__module__}.{public_api.__name__}' on types "
        f"that implement __torch_function__: {list(kinds)}")


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a tensor or says that it behaves as one."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


class TorchFunctionMode(DispatchMode):
    """Within ``with Mode():``, ``__torch_function__`` sees the calls of ops on tensors.

    Functions that make tensors of no tensor (``torch.zeros``) are not seen.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: tuple[type, ...], args: Any = (), kwargs: Any = None
    ) -> Any:
        """The result of a call; the mode itself is off while this runs."""
        raise NotImplementedError

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Offer a call to ``__torch_function__``."""
        kinds = tuple({type(t) for t in tensors_of(op, args) if type(t) in OVERRIDING})
        positional, named = op.schema.unbind(args)
        return self.__torch_function__(op.function, kinds, positional, named)
