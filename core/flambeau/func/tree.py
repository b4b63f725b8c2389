"""Nested tuples, lists and dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flambeau.tensor import Tensor


def leaves(tree: Any) -> list[Any]:
    """What is no tuple, list or dictionary, from left to right; dictionaries by their keys'
    order of insertion."""
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in leaves(item)]
    if isinstance(tree, dict):
        return [leaf for item in tree.values() for leaf in leaves(item)]
    return [] if tree is None else [tree]


def rebuilt(tree: Any, values: Iterator[Any]) -> Any:
    """The same nesting with other leaves."""
    if isinstance(tree, (tuple, list)):
        items = [rebuilt(item, values) for item in tree]
        return remade(tree, items)
    if isinstance(tree, dict):
        return type(tree)((k, rebuilt(v, values)) for k, v in tree.items())
    return None if tree is None else next(values)


def remade(like: Any, items: Iterable[Any]) -> Any:
    """A tuple or list of the same class, which may be of named fields, with other items."""
    return getattr(type(like), "_make", type(like))(items)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same nesting with a function's values."""
    return rebuilt(tree, iter([function(leaf) for leaf in leaves(tree)]))


def check_tensors(name: str, tree: Any) -> list[Tensor]:
    """The leaves.

    Raises:
        RuntimeError: if one is no tensor.
    """
    found = leaves(tree)
    for leaf in found:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{name}: Expected all inputs and outputs to be tensors or nested tuples, lists "
                f"and dictionaries of them, got {type(leaf).__name__}")
    return found
