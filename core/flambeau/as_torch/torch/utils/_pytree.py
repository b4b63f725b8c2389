"""``torch.utils._pytree``: nested containers as a list of leaves and what is around them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PyTree = Any


class NodeDef(NamedTuple):
    """How a class is looked into: its items and a context, and back."""

    flatten_fn: Callable[[Any], tuple[list[Any], Any]]
    unflatten_fn: Callable[[Any, Any], Any]


@dataclass
class TreeSpec:
    """What is around the leaves; ``type`` is None for a leaf."""

    type: Any
    context: Any
    children_specs: list[TreeSpec]
    num_leaves: int = field(init=False)

    def __post_init__(self) -> None:
        is_leaf = self.type is None
        self.num_leaves = 1 if is_leaf else sum(spec.num_leaves for spec in self.children_specs)

    def is_leaf(self) -> bool:
        """Whether this is a leaf itself."""
        return self.type is None


class LeafSpec(TreeSpec):
    """A leaf."""

    def __init__(self) -> None:
        super().__init__(None, None, [])


def _of_dict(tree: Any) -> tuple[list[Any], Any]:
    return list(tree.values()), list(tree)


SUPPORTED_NODES: dict[Any, NodeDef] = {
    tuple: NodeDef(lambda t: (list(t), None), lambda values, _: tuple(values)),
    list: NodeDef(lambda t: (list(t), None), lambda values, _: list(values)),
    deque: NodeDef(
        lambda t: (list(t), t.maxlen), lambda values, most: deque(values, maxlen=most)),
    dict: NodeDef(_of_dict, lambda values, keys: dict(zip(keys, values, strict=True))),
    OrderedDict: NodeDef(
        _of_dict, lambda values, keys: OrderedDict(zip(keys, values, strict=True))),
    defaultdict: NodeDef(
        lambda t: (list(t.values()), (t.default_factory, list(t))),
        lambda values, c: defaultdict(c[0], zip(c[1], values, strict=True))),
    namedtuple: NodeDef(lambda t: (list(t), type(t)), lambda values, kind: kind(*values)),
}


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
    SUPPORTED_NODES[cls] = NodeDef(flatten_fn, unflatten_fn)


_register_pytree_node = register_pytree_node


@dataclass(frozen=True)
class MappingKey:
    """Where a value stands in a dictionary."""

    key: Any


@dataclass(frozen=True)
class SequenceKey:
    """Where a value stands in a list or tuple."""

    idx: int


def _dict_flatten(tree: dict[Any, Any]) -> tuple[list[Any], Any]:
    return _of_dict(tree)


def _dict_unflatten(values: Any, context: Any) -> dict[Any, Any]:
    return dict(zip(context, values, strict=True))


def _dict_flatten_with_keys(tree: dict[Any, Any]) -> tuple[list[tuple[Any, Any]], Any]:
    values, keys = _of_dict(tree)
    return [(MappingKey(k), v) for k, v in zip(keys, values, strict=True)], keys


def _get_node_type(tree: Any) -> Any:
    """The key of ``SUPPORTED_NODES`` for a tree; a class that is not there for a leaf."""
    if type(tree) not in SUPPORTED_NODES and isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return namedtuple
    return type(tree)


def tree_flatten(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Any], TreeSpec]:
    """The leaves from left to right, and what is around them."""
    kind = _get_node_type(tree)
    if kind not in SUPPORTED_NODES or (is_leaf is not None and is_leaf(tree)):
        return [tree], LeafSpec()
    items, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    parts = [tree_flatten(item, is_leaf) for item in items]
    spec = TreeSpec(kind, context, [spec for _, spec in parts])
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
    items = [_build(values, child) for child in spec.children_specs]
    return SUPPORTED_NODES[spec.type].unflatten_fn(items, spec.context)


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
