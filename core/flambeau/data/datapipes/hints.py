"""Whether values and types are those that a type hint allows."""

from __future__ import annotations

import types
import typing
from typing import Any, TypeVar


def allows(hint: Any, value: Any) -> bool:
    """Whether a value is of the type of a hint, items of containers included."""
    if hint is Any or isinstance(hint, TypeVar):
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(allows(one, value) for one in inner)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return isinstance(value, tuple) and all(allows(inner[0], item) for item in value)
        return (
            isinstance(value, tuple) and len(value) == len(inner) and all(map(allows, inner, value))
        )
    if origin is dict:
        return isinstance(value, dict) and all(
            allows(inner[0], k) and allows(inner[1], v) for k, v in value.items()
        )
    if origin in (list, set):
        return isinstance(value, origin) and all(allows(inner[0], item) for item in value)
    return isinstance(value, type(None) if hint is None else origin or hint)


def is_subtype(left: Any, right: Any) -> bool:
    """Whether all that one hint allows is allowed by the other."""
    if right is Any or isinstance(right, TypeVar) or left == right:
        return True
    if left is Any or isinstance(left, TypeVar):
        return False
    unions = (typing.Union, types.UnionType)
    if typing.get_origin(left) in unions:
        return all(is_subtype(one, right) for one in typing.get_args(left))
    if typing.get_origin(right) in unions:
        return any(is_subtype(left, one) for one in typing.get_args(right))
    plain_left, plain_right = typing.get_origin(left) or left, typing.get_origin(right) or right
    if not issubclass(plain_left, plain_right):
        return False
    wanted, given = typing.get_args(right), typing.get_args(left)
    if not wanted:
        return True
    return len(given) == len(wanted) and all(map(is_subtype, given, wanted))
