"""``torch.utils._pytree``: nested containers as a list of leaves and what is around them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, NamedTuple


class _Kind(NamedTuple):
    flatten: Callable[[Any], tuple[list[Any], Any]]
    unflatten: Callable[[Any, Any], Any]


class TreeSpec(NamedTuple):
    """What is around the leaves; ``type`` is None for a leaf."""

    type: Any
    context: Any
    children: list[Any]

    @property
    def num_leaves(self) -> int:
        """How many leaves there are."""
        return 1 if self.type is None else sum(child.num_leaves for child in self.children)

    def is_leaf(self) -> bool:
        """Whether this is a leaf itself."""
        return self.type is None


LeafSpec = TreeSpec(None, None, [])


def _of_dict(tree: Any) -> tuple[list[Any], Any]:
    return list(tree.values()), list(tree)


SUPPORTED_NODES: dict[type, _Kind] = {
    tuple: _Kind(lambda t: (list(t), None), lambda values, _: tuple(values)),
    list: _Kind(lambda t: (list(t), None), lambda values, _: list(values)),
    deque: _Kind(
        lambda t: (list(t), t.maxlen), lambda values, most: deque(values, maxlen=most)),
    dict: _Kind(_of_dict, lambda values, keys: dict(zip(keys, values, strict=True))),
    OrderedDict: _Kind(_of_dict, lambda values, keys: OrderedDict(zip(keys, values, strict=True))),
    defaultdict: _Kind(
        lambda t: (list(t.values()), (t.default_factory, list(t))),
        lambda values, c: defaultdict(c[0], zip(c[1], values, strict=True))),
}
_NAMED = _Kind(lambda t: (list(t), type(t)), lambda values, kind: kind(*values))


def register_pytree_node(
    cls: type, flatten_fn: Callable[..., Any], unflatten_fn: Callable[..., Any], **others: Any
) -> None:
    """Let a class be looked into.

    Args:
        cls: the class.
        flatten_fn: gives its items and a context.
        unflatten_fn: makes one of items and the context.
        others: for PyTorch's sake, without effect.
    """
    SUPPORTED_NODES[cls] = _Kind(flatten_fn, unflatten_fn)


_register_pytree_node = register_pytree_node


def _kind_of(tree: Any) -> _Kind | None:
    found = SUPPORTED_NODES.get(type(tree))
    if found is None and isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return _NAMED
    return found


def tree_flatten(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Any], TreeSpec]:
    """The leaves from left to right, and what is around them."""
    kind = None if is_leaf is not None and is_leaf(tree) else _kind_of(tree)
    if kind is None:
        return [tree], LeafSpec
    items, context = kind.flatten(tree)
    parts = [tree_flatten(item, is_leaf) for item in items]
    spec = TreeSpec(type(tree), context, [spec for _, spec in parts])
    return [leaf for found, _ in parts for leaf in found], spec


def tree_unflatten(leaves: Any, treespec: TreeSpec) -> Any:
    """The tree of these leaves.

    Raises:
        ValueError: if their number is not that of the tree.
    """
    values = list(leaves)
    if len(values) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(values)} but the spec "
            f"refers to a pytree that holds {treespec.num_leaves} items")
    return _build(iter(values), treespec)


def _build(values: Any, spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(values)
    items = [_build(values, child) for child in spec.children]
    return SUPPORTED_NODES.get(spec.type, _NAMED).unflatten(items, spec.context)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves from left to right."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """What is around the leaves."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(
    func: Callable[..., Any], tree: Any, *rests: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """The tree of a function's values at each leaf (of trees alike)."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [tree_leaves(rest, is_leaf) for rest in rests]
    return tree_unflatten([func(*args) for args in zip(leaves, *others, strict=True)], spec)


def tree_map_only(
    kind: Any, func: Callable[[Any], Any], tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """The tree with a function's values where a leaf is of a class."""
    return tree_map(lambda x: func(x) if isinstance(x, kind) else x, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any) -> bool:
    """Whether it holds for all leaves."""
    return all(map(pred, tree_leaves(tree)))


def tree_any(pred: Callable[[Any], bool], tree: Any) -> bool:
    """Whether it holds for a leaf."""
    return any(map(pred, tree_leaves(tree)))
