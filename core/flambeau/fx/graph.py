"""A list of calls, each of which uses results of those before it."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from flambeau.fx.node import Node, function_name, map_arg

Args = tuple[Any, ...]


class PythonCode(NamedTuple):
    """A function as a text, and what its names stand for."""

    src: str
    globals: dict[str, Any]


class Graph:
    """A program: nodes in the order in which they run."""

    def __init__(self, owning_module: Any = None) -> None:
        self._nodes: list[Node] = []
        self._names: set[str] = set()
        self._at: int | None = None
        self.owning_module = owning_module

    @property
    def nodes(self) -> list[Node]:
        """The nodes in order; a copy of the list, so that the graph may change meanwhile."""
        return list(self._nodes)

    # ---- building ------------------------------------------------------------------------------
    def create_node(
        self, op: str, target: Any, args: Args | None = None, kwargs: dict[str, Any] | None = None,
        name: str | None = None, type_expr: Any = None,
    ) -> Node:
        """Add a node at the place of insertion, by default the end."""
        candidate = name or _suggested(op, target)
        node = Node(self, self._free(candidate), op, target, args or (), kwargs or {}, type_expr)
        if self._at is None:
            self._nodes.append(node)
        else:
            self._nodes.insert(self._at, node)
            self._at += 1
        return node

    def _free(self, candidate: str) -> str:
        """A name that is not taken: of a taken one, with a number."""
        name = re.sub(r"[^0-9a-zA-Z_]+", "_", candidate)
        name = f"_{name}" if not name or name[0].isdigit() else name
        stem, number = re.sub(r"_\d+$", "", name), 0
        while name in self._names or keyword.iskeyword(name) or hasattr(builtins, name):
            number += 1
            name = f"{stem}_{number}"
        self._names.add(name)
        return name

    def placeholder(self, name: str, type_expr: Any = None, default_value: Any = ...) -> Node:
        """Add an input."""
        args = () if default_value is ... else (default_value,)
        return self.create_node("placeholder", name, args, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr: Any = None) -> Node:
        """Add what a dotted name stands for in the module."""
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_function(
        self, the_function: Callable[..., Any], args: Args | None = None,
        kwargs: dict[str, Any] | None = None, type_expr: Any = None, name: str | None = None,
    ) -> Node:
        """Add a call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def call_method(
        self, method_name: str, args: Args | None = None, kwargs: dict[str, Any] | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Add a call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, None, type_expr)

    def call_module(
        self, module_name: str, args: Args | None = None, kwargs: dict[str, Any] | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Add a call of a module at a dotted name."""
        return self.create_node("call_module", module_name, args, kwargs, None, type_expr)

    def output(self, result: Any, type_expr: Any = None) -> Node:
        """Add what is returned."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    def output_node(self) -> Node:
        """The node of what is returned."""
        return next(node for node in reversed(self._nodes) if node.op == "output")

    def find_nodes(self, *, op: str, target: Any = None, sort: bool = True) -> list[Node]:
        """The nodes of a kind, with a target if one is given."""
        return [n for n in self._nodes if n.op == op and (target is None or n.target == target)]

    # ---- places --------------------------------------------------------------------------------
    @contextmanager
    def _inserting(self, at: int) -> Iterator[None]:
        before, length, self._at = self._at, len(self._nodes), at
        try:
            yield
        finally:
            grown = len(self._nodes) - length
            self._at = None if before is None else before + grown * (at <= before)

    def inserting_before(self, n: Node | None = None) -> Any:
        """Within the block, nodes are added before this one; before all, without one."""
        return self._inserting(0 if n is None else self._nodes.index(n))

    def inserting_after(self, n: Node | None = None) -> Any:
        """Within the block, nodes are added behind this one; behind all, without one."""
        return self._inserting(len(self._nodes) if n is None else self._nodes.index(n) + 1)

    # ---- changing ------------------------------------------------------------------------------
    def erase_node(self, to_erase: Node) -> None:
        """Take out a node that nothing uses.

        Raises:
            RuntimeError: if something uses it.
        """
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in "
                f"the graph: {to_erase.users}!")
        to_erase.args, to_erase.kwargs = (), {}
        at = self._nodes.index(to_erase)
        del self._nodes[at]
        if self._at is not None and at < self._at:
            self._at -= 1

    def eliminate_dead_code(
        self, is_impure_node: Callable[[Node], bool] | None = None
    ) -> bool:
        """Take out all nodes that nothing uses and that do nothing else; whether there were any."""
        is_impure = is_impure_node or Node.is_impure
        dead = False
        for node in reversed(self.nodes):
            if not node.users and node.op not in ("placeholder", "output") and not is_impure(node):
                self.erase_node(node)
                dead = True
        return dead

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Any] = lambda n: n) -> Node:
        """Add a copy of another graph's node, its arguments transformed."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        made = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        made.meta = dict(node.meta)
        return made

    def graph_copy(self, g: Graph, val_map: dict[Node, Any]) -> Any:
        """Add copies of another graph's nodes, but of those in ``val_map``; gives its result."""
        for node in g._nodes:
            if node in val_map:
                continue
            if node.op == "output":
                return map_arg(node.args[0], lambda n: val_map[n])
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "owning_module": None}  # which holds this graph itself

    def __deepcopy__(self, memo: Any = None) -> Graph:
        made = Graph()
        val_map: dict[Node, Any] = {}
        result = made.graph_copy(self, val_map)
        if any(node.op == "output" for node in self._nodes):
            made.output(result)
        return made

    def lint(self) -> None:
        """Check that nodes use results from before them, names are unique, targets are there.

        Raises:
            RuntimeError: naming the node.
        """
        seen: set[Node] = set()
        for node in self._nodes:
            for used in node.all_input_nodes:
                if used not in seen:
                    raise RuntimeError(f"Argument '{used}' of Node '{node}' was used before it has "
                                       "been defined! Please check that Nodes in the graph are "
                                       "topologically ordered")
            if node.name in {other.name for other in seen}:
                raise RuntimeError(f"Node redefined name {node.name}!")
            if node.op in ("get_attr", "call_module") and self.owning_module is not None:
                _at(self.owning_module, node)
            seen.add(node)

    # ---- texts ---------------------------------------------------------------------------------
    def python_code(self, root_module: str = "self") -> PythonCode:
        """The program as the text of a function ``forward``."""
        scope: dict[str, Any] = {}
        inputs: list[str] = [root_module]
        lines: list[str] = []
        for i, node in enumerate(self._nodes):
            if node.op == "placeholder":
                inputs.append(_parameter(node, scope))
                if node.target.lstrip("*") != node.name:
                    lines.append(f"    {node.name} = {node.target.lstrip('*')}")
                continue
            lines.append("    " + _statement(node, root_module, scope) + _forgotten(self, i))
        body = "\n".join(lines) or "    pass"
        return PythonCode(f"def forward({', '.join(inputs)}):\n{body}\n", scope)

    def __str__(self) -> str:
        return "graph():\n" + "\n".join(f"    {node.format_node()}" for node in self._nodes)

    def print_tabular(self) -> None:
        """Print a table of the nodes."""
        rows = [("opcode", "name", "target", "args", "kwargs")]
        rows += [
            (n.op, n.name, str(n.target), str(n.args), str(n.kwargs)) for n in self._nodes]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


def _suggested(op: str, target: Any) -> str:
    """A name for a node, of what it calls."""
    name = target if isinstance(target, str) else getattr(target, "__name__", "call")
    name = name.replace(".", "_") if op != "placeholder" else name.lstrip("*")
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    return (snake if op != "placeholder" else name).strip("_") or "x"


def _at(module: Any, node: Node) -> Any:
    """What stands at a dotted name."""
    for part in str(node.target).split("."):
        if not hasattr(module, part):
            raise RuntimeError(
                f"Node {node} target {node.target} references nonexistent attribute {part} of "
                f"{type(module).__name__}")
        module = getattr(module, part)
    return module


def _parameter(node: Node, scope: dict[str, Any]) -> str:
    return f"{node.target} = {_written(node.args[0], scope)}" if node.args else str(node.target)


def _statement(node: Node, root: str, scope: dict[str, Any]) -> str:
    if node.op == "output":
        return f"return {_written(node.args[0], scope)}"
    if node.op == "get_attr":
        return f"{node.name} = {_path(root, node.target)}"
    args = [_written(a, scope) for a in node.args]
    named = [f"{k} = {_written(v, scope)}" for k, v in node.kwargs.items()]
    if node.op == "call_method":
        return f"{node.name} = {args[0]}.{node.target}({', '.join(args[1:] + named)})"
    if node.op == "call_module":
        return f"{node.name} = {_path(root, node.target)}({', '.join(args + named)})"
    called = _global(function_name(node.target), node.target, scope)
    return f"{node.name} = {called}({', '.join(args + named)})"


def _path(root: str, target: str) -> str:
    """An attribute's path; parts that are no identifiers are asked for by ``getattr``."""
    for part in target.split("."):
        root = f"{root}.{part}" if part.isidentifier() else f'getattr({root}, "{part}")'
    return root


def _forgotten(graph: Graph, i: int) -> str:
    """Let go of the results that this node is the last to use."""
    node = graph._nodes[i]
    if node.op == "output":
        return ""
    later = set(graph._nodes[i + 1 :])
    gone = [n.name for n in node.all_input_nodes if not later & set(n.users)]
    if not node.users:
        gone.append(node.name)
    return f";  {' = '.join(gone)} = None" if gone else ""


def _global(name: str, value: Any, scope: dict[str, Any]) -> str:
    """A name for a value that the text cannot spell."""
    stem = re.sub(r"\W+", "_", name)
    candidate, number = stem, 0
    while candidate in scope and scope[candidate] is not value:
        number += 1
        candidate = f"{stem}_{number}"
    scope[candidate] = value
    return candidate


def _written(value: Any, scope: dict[str, Any]) -> str:
    """The expression of an argument."""
    if isinstance(value, Node):
        return value.name
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        inner = ", ".join(_written(item, scope) for item in value)
        return f"{_global(type(value).__name__, type(value), scope)}({inner})"
    if isinstance(value, tuple):
        return "(" + "".join(f"{_written(item, scope)}, " for item in value) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(_written(item, scope) for item in value) + "]"
    if isinstance(value, dict):
        items = (f"{k!r}: {_written(v, scope)}" for k, v in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, slice):
        parts = ", ".join(_written(p, scope) for p in (value.start, value.stop, value.step))
        return f"slice({parts})"
    if value is None or value is ... or type(value) in (bool, int, str):
        return repr(value)
    if type(value) is float and value == value and abs(value) != float("inf"):
        return repr(value)
    return _global(f"_{type(value).__name__}", value, scope)
