"""``Variable``: what tensors with gradients were called once."""

from __future__ import annotations

from typing import Any

from flambeau.tensor import Tensor


class _VariableType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, Tensor)

    def __call__(
        cls, data: Any = None, requires_grad: bool | None = None, volatile: object = None
    ) -> Tensor:
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(bool(requires_grad))


class Variable(metaclass=_VariableType):
    """A tensor over the same elements without history; every tensor is an instance.

    ``Variable(data, requires_grad=False)``; ``volatile`` has no effect.

    Raises:
        TypeError: if the data is no tensor.
    """
