"""Argument types: looked at once per combination of types, with PyTorch's messages."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flambeau import dtypes
from flambeau.device import device
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.registry import Op
    from flambeau.schema import Argument

NUMBERS: Final = (numbers.Number, np.number, np.bool_)


def _is_int(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, Tensor):
        return value.dtype.category == 1 and not value.ndim
    return isinstance(value, (int, np.integer))


def _fits(argument: Argument, value: Any) -> bool:
    kind = argument.type
    if kind == "Tensor":
        return isinstance(value, Tensor)
    if kind == "Operand":
        return isinstance(value, (Tensor, *NUMBERS))
    if kind == "int":
        return _is_int(value)
    if kind == "float":
        return isinstance(value, (float, int, np.number)) or (
            isinstance(value, Tensor) and not value.ndim
        )
    if kind == "bool":
        return isinstance(value, (bool, np.bool_, int))
    if kind == "Scalar":
        return isinstance(value, NUMBERS) or (isinstance(value, Tensor) and value.numel() == 1)
    if kind == "str":
        return isinstance(value, str)
    if kind == "dtype":
        return isinstance(value, dtypes.dtype)
    if kind == "device":
        return isinstance(value, (device, str))
    return True


def _accepts(argument: Argument, value: Any) -> bool:
    if value is None:
        return argument.is_optional or argument.type == "Any" or (
            argument.has_default and argument.default is None
        )
    if not argument.is_list:
        return _fits(argument, value)
    if isinstance(value, (list, tuple)):
        return all(_fits(argument, v) or (v is None and argument.is_tensor) for v in value)
    return (argument.length is not None or not argument.is_tensor) and _fits(argument, value)


def check_arguments(op: Op, args: tuple[Any, ...]) -> None:
    """Check the types of a call's arguments; remember combinations that hold no lists.

    Raises:
        TypeError: naming the op, the argument, its position, and both types; or for operands none
            of which is a tensor.
    """
    for i, (argument, value) in enumerate(zip(op.schema.arguments, args, strict=True)):
        if not _accepts(argument, value):
            name = "input" if argument.name == "self" else argument.name
            wanted = {
                "Operand": "Tensor or Number", "Scalar": "Number", "int[]": "tuple of ints",
                "Tensor[]": "tuple of Tensors",
            }.get(str(argument).rstrip("?"), str(argument).rstrip("?"))
            raise TypeError(
                f"{op.name}(): argument '{name}' (position {i + 1}) must be {wanted}, "
                f"not {_type_name(value)}"
            )
    if "Operand" in {a.type for a in op.schema.arguments} and not any(
        isinstance(v, Tensor) for v in args
    ):
        raise TypeError(
            f"{op.name}() received an invalid combination of arguments: one of the operands must "
            f"be a Tensor, got ({', '.join(_type_name(v) for v in args)})")
    if not any(
        isinstance(v, (list, tuple)) or (isinstance(v, Tensor) and not argument.is_tensor)
        for argument, v in zip(op.schema.arguments, args, strict=True)
    ):
        op.accepted.add(tuple(map(type, args)))


def _type_name(value: Any) -> str:
    if isinstance(value, (list, tuple)) and value:
        inner = {type(v).__name__ for v in value}
        return f"{type(value).__name__} of ({', '.join(sorted(inner))})"
    return type(value).__name__
