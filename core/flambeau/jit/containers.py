"""``isinstance`` that looks into containers."""

from __future__ import annotations

import builtins
import types
import typing
import warnings
from typing import Any, Final

_CONTAINERS: Final = {
    list: "List", tuple: "Tuple", dict: "Dict", typing.List: "List",  # noqa: UP006
    typing.Tuple: "Tuple", typing.Dict: "Dict", typing.Optional: "Optional",  # noqa: UP006
}  # fmt: skip
_WANTED: Final = {"Dict": ("contained types", "[int, int]")}


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a type, such as ``list[int]``, ``Optional[dict[str, Tensor]]``.

    An empty container has items of every type; it is warned of.

    Args:
        target_type: a type, a container with the types of its items, a union, or a tuple of these.

    Raises:
        RuntimeError: for a container without the types of its items.
    """
    if _has_empty_container(obj):
        warnings.warn(
            "The inner type of a container is lost when calling torch.jit.isinstance in eager "
            "mode. For example, List[int] would become list and therefore falsely return True "
            "for List[float] or List[str].",
            stacklevel=2,
        )
    return _is(obj, target_type)


def _has_empty_container(obj: Any) -> bool:
    return builtins.isinstance(obj, (list, dict, tuple)) and not obj


def _is(obj: Any, target: Any) -> bool:
    if builtins.isinstance(target, tuple):
        return any(_is(obj, one) for one in target)
    origin, inner = typing.get_origin(target), typing.get_args(target)
    if origin in (typing.Union, types.UnionType):
        return any(_is(obj, type(None) if one is None else one) for one in inner)
    if target in _CONTAINERS:
        name = getattr(target, "__name__", None) or _CONTAINERS[target]
        wanted, given = _WANTED.get(_CONTAINERS[target], ("a contained type", "[int]"))
        raise RuntimeError(
            f"Attempted to use {name} without {wanted}. Please add {wanted.removesuffix('s')}, "
            f"e.g. {name}{given}"
        )
    if origin is list:
        return builtins.isinstance(obj, list) and all(_is(one, inner[0]) for one in obj)
    if origin is dict:
        return builtins.isinstance(obj, dict) and all(
            _is(key, inner[0]) and _is(value, inner[1]) for key, value in obj.items()
        )
    if origin is tuple:
        return (
            builtins.isinstance(obj, tuple) and len(obj) == len(inner) and all(map(_is, obj, inner))
        )
    return builtins.isinstance(obj, target)
