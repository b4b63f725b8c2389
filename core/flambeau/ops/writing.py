"""In-place forms that write straight to memory.

An in-place composite computes a new tensor and copies it back.  For ops that touch a few
elements of a large tensor that is the wrong order of growth: where no history is needed and the
backend has an ``out`` form of the op, that is called on the tensor itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import modes
from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.inplace import check_writable
from flambeau.dispatch import any_requires_grad, natives_of, tensors_of
from flambeau.registry import Op
from flambeau.tensor import Tensor


def writes_through(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a registered op: give its in-place form the short way to memory."""
    op: Op = function.op  # type: ignore[attr-defined]
    general = op.inplace_function
    assert general is not None

    def inplace(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        bound = op.schema.bind((self, *args), kwargs)
        if not _written(op, bound):
            general(self, *args, **kwargs)
        return self

    inplace.__name__ = inplace.__qualname__ = f"{op.name}_"
    inplace.__doc__, inplace.op = general.__doc__, op  # type: ignore[attr-defined]
    op.inplace_function = inplace
    setattr(Tensor, f"{op.name}_", inplace)
    return function


def _written(op: Op, args: tuple[Any, ...]) -> bool:
    """Whether the backend's ``out`` form has written the result to the first argument."""
    t = args[0]
    if modes.is_watched(*args) or not isinstance(t, Tensor):
        return False
    kernel = t._kind.backend.kernels.out.get(op.name)
    if kernel is None or (MODE.enabled and any_requires_grad(op, args)):
        return False
    for other in tensors_of(op, args):
        if other._kind.device is not t._kind.device:
            return False
        if other is not t and other.storage_() is t.storage_():  # would be read while written
            return False
    check_writable(op, t)
    inputs = natives_of([v for a, v in zip(op.schema.arguments, args, strict=True) if a.is_tensor])
    attributes = {
        a.name: v for a, v in zip(op.schema.arguments, args, strict=True) if not a.is_tensor}
    if kernel(inputs[0], *inputs, **attributes) is NotImplemented:
        return False
    t.storage_().version += 1
    return True
