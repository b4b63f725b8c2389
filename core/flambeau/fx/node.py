"""A call in a graph."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from flambeau.fx.graph import Graph

T = TypeVar("T")
OPS: Final = ("placeholder", "get_attr", "call_function", "call_method", "call_module", "output")
_SIDE_EFFECTS: Final[set[Any]] = {operator.setitem, print}


def map_aggregate(a: Any, fn: Callable[[Any], Any]) -> Any:
    """The same tuples, lists, dicts and slices with ``fn`` of what is in them."""
    if isinstance(a, tuple) and hasattr(a, "_fields"):
        return type(a)(*(map_aggregate(item, fn) for item in a))
    if isinstance(a, (tuple, list)):
        return type(a)(map_aggregate(item, fn) for item in a)
    if isinstance(a, dict):
        return {key: map_aggregate(item, fn) for key, item in a.items()}
    if isinstance(a, slice):
        return slice(*(map_aggregate(part, fn) for part in (a.start, a.stop, a.step)))
    return fn(a)


def map_arg(a: Any, fn: Callable[[Node], Any]) -> Any:
    """The same arguments with ``fn`` of the nodes in them."""
    return map_aggregate(a, lambda item: fn(item) if isinstance(item, Node) else item)


def has_side_effect(fn: T) -> T:
    """Keep calls of a function although nothing uses their results."""
    _SIDE_EFFECTS.add(fn)
    return fn


class Node:
    """A call in a graph; its result is called ``name``.

    ``op`` is one of "placeholder" (an input, called ``target``), "get_attr" (what the dotted name
    ``target`` stands for in the module), "call_function" (of the function ``target``),
    "call_method" (named ``target``, of the first argument), "call_module" (at the dotted name
    ``target``), "output" (of the one argument).
    """

    def __init__(
        self, graph: Graph, name: str, op: str, target: Any, args: tuple[Any, ...],
        kwargs: dict[str, Any], type_expr: Any = None,
    ) -> None:
        if op not in OPS:
            raise AssertionError(f"op is one of {', '.join(OPS)}, not {op!r}")
        self.graph, self.name, self.op, self.target = graph, name, op, target
        self.type = type_expr
        self.users: dict[Node, None] = {}
        self.meta: dict[str, Any] = {}
        self._args: tuple[Any, ...] = ()
        self._kwargs: dict[str, Any] = {}
        self._use(args, kwargs)

    def _use(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for node in self.all_input_nodes:
            node.users.pop(self, None)
        self._args, self._kwargs = tuple(args), dict(kwargs)
        for node in self.all_input_nodes:
            node.users[self] = None

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments: nodes, values, and containers of such."""
        return self._args

    @args.setter
    def args(self, args: tuple[Any, ...]) -> None:
        self._use(args, self._kwargs)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The named arguments."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, kwargs: dict[str, Any]) -> None:
        self._use(self._args, kwargs)

    @property
    def all_input_nodes(self) -> list[Node]:
        """The nodes among the arguments, each once."""
        found: dict[Node, None] = {}
        map_arg((self._args, self._kwargs), lambda node: found.setdefault(node))
        return list(found)

    @property
    def prev(self) -> Node:
        """The node before."""
        nodes = self.graph._nodes
        return nodes[nodes.index(self) - 1]

    @property
    def next(self) -> Node:
        """The node behind."""
        nodes = self.graph._nodes
        return nodes[(nodes.index(self) + 1) % len(nodes)]

    def update_arg(self, idx: int, arg: Any) -> None:
        """Exchange a positional argument."""
        args = list(self._args)
        args[idx] = arg
        self.args = tuple(args)

    def update_kwarg(self, key: str, arg: Any) -> None:
        """Exchange a named argument."""
        self.kwargs = {**self._kwargs, key: arg}

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Use another node in place of one."""
        args, kwargs = map_arg(
            (self._args, self._kwargs), lambda node: new_input if node is old_input else node)
        self._use(args, kwargs)

    def replace_all_uses_with(
        self, replace_with: Node, delete_user_cb: Callable[[Node], bool] = lambda user: True,
        *, propagate_meta: bool = False,
    ) -> list[Node]:
        """Let all that use this node use another; gives those that do so now.

        Args:
            delete_user_cb: which users are meant.
            propagate_meta: copy ``meta`` to the other node.
        """
        if propagate_meta:
            replace_with.meta.update(self.meta)
        changed = [user for user in self.users if delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    def prepend(self, x: Node) -> None:
        """Move a node of the graph before this one."""
        self._move(x, 0)

    def append(self, x: Node) -> None:
        """Move a node of the graph behind this one."""
        self._move(x, 1)

    def _move(self, x: Node, by: int) -> None:
        if x is self:
            return
        nodes = self.graph._nodes
        nodes.remove(x)
        nodes.insert(nodes.index(self) + by, x)

    def is_impure(self) -> bool:
        """Whether it does something although nothing uses its result."""
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_method":
            return str(self.target).endswith("_") and not str(self.target).endswith("__")
        if self.op == "call_function":
            written = getattr(getattr(self.target, "op", None), "inplace_function", None)
            return self.target in _SIDE_EFFECTS or self.target is written
        if self.op == "call_module" and self.graph.owning_module is not None:
            module = self.graph.owning_module.get_submodule(self.target)
            return bool(getattr(module, "training", False) and list(module.buffers()))
        return False

    def __repr__(self) -> str:
        return self.name

    def format_node(self) -> str:
        """The node as a line: ``%x : [num_users=1] = call_module[target=m](args = ...)``."""
        if self.op == "output":
            return f"return {_text(self.args[0])}"
        head = f"%{self.name} : [num_users={len(self.users)}] = {self.op}"
        target = function_name(self.target) if callable(self.target) else self.target
        if self.op == "placeholder":
            return f"{head}[target={target}]"
        called = f"{head}[target={target}]"
        if self.op == "get_attr":
            return called
        return f"{called}(args = {_text(self.args)}, kwargs = {_text(self.kwargs)})"


def function_name(function: Any) -> str:
    """The public name of a function, with its module."""
    op = getattr(function, "op", None)
    if op is not None:
        space = f".{op.namespaces[0]}" if op.namespaces[0] else ""
        return f"flambeau{space}.{function.__name__}"
    module = (getattr(function, "__module__", None) or "builtins").replace("_operator", "operator")
    return f"{module}.{getattr(function, '__qualname__', type(function).__name__)}"


def _text(value: Any) -> str:
    return str(map_arg(value, lambda node: _Shown(f"%{node.name}")))


class _Shown(str):
    __slots__ = ()
    __repr__ = str.__str__
