"""Replacing parts of a graph by other ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.node import Node
from flambeau.fx.tracer import symbolic_trace

Pattern = Callable[..., Any] | GraphModule | Graph


class Match(NamedTuple):
    """A part of a graph that a pattern fits: the node of its result, and node by node."""

    anchor: Node
    nodes_map: dict[Node, Node]


def replace_pattern(gm: GraphModule, pattern: Pattern, replacement: Pattern) -> list[Match]:
    """Replace all parts of a module's graph that a pattern fits; the module is changed.

    What a pattern computes on the way must not be used elsewhere.  Parts that share nodes with one
    that was replaced stay.

    Args:
        pattern: a function, module or graph; its inputs stand for anything.
        replacement: the same, with as many inputs.

    Raises:
        RuntimeError: if the two have different numbers of inputs.
    """
    wanted, other = _graph(pattern), _graph(replacement)
    inputs = [[n for n in g.nodes if n.op == "placeholder"] for g in (wanted, other)]
    if len(inputs[0]) != len(inputs[1]):
        raise RuntimeError(
            f"the pattern has {len(inputs[0])} inputs and the replacement {len(inputs[1])}")
    matches: list[Match] = []
    taken: set[Node] = set()
    renewed: dict[Node, Node] = {}
    for node in gm.graph.nodes:
        match = _match(wanted, node)
        if match is None or taken & _inner(match):
            continue
        taken |= _inner(match)
        given = [match.nodes_map[i] for i in inputs[0]]
        values: dict[Node, Any] = dict(
            zip(inputs[1], (renewed.get(n, n) for n in given), strict=True))
        with gm.graph.inserting_before(match.anchor):
            result = gm.graph.graph_copy(other, values)
        match.anchor.replace_all_uses_with(result)
        renewed[match.anchor] = result
        for old in reversed(gm.graph.nodes):
            if old in _inner(match):
                gm.graph.erase_node(old)
        matches.append(match)
    gm.recompile()
    return matches


def _graph(pattern: Pattern) -> Graph:
    if isinstance(pattern, Graph):
        return pattern
    return (pattern if isinstance(pattern, GraphModule) else symbolic_trace(pattern)).graph


def _inner(match: Match) -> set[Node]:
    """The nodes that a replacement makes needless."""
    return {node for p, node in match.nodes_map.items() if p.op != "placeholder"}


def _match(pattern: Graph, node: Node) -> Match | None:
    """How a pattern fits with its result at a node, or None."""
    result = pattern.output_node().args[0]
    found: dict[Node, Node] = {}
    if not isinstance(result, Node) or not _fits(result, node, found):
        return None
    inner = {n for p, n in found.items() if p.op != "placeholder"}
    leaks = any(n is not node and not set(n.users) <= inner for n in inner)
    return None if leaks else Match(node, found)


def _fits(wanted: Any, given: Any, found: dict[Node, Node]) -> bool:
    """Whether an argument of a pattern fits one of the graph; notes what fits what."""
    if not isinstance(wanted, Node):
        return _same(wanted, given, found)
    if not isinstance(given, Node):
        return False
    if wanted in found:
        return found[wanted] is given
    if wanted.op == "placeholder":
        found[wanted] = given
        return True
    if (wanted.op, wanted.target) != (given.op, given.target):
        return False
    if set(wanted.kwargs) != set(given.kwargs) or not _same(wanted.args, given.args, found):
        return False
    found[wanted] = given
    return all(_fits(wanted.kwargs[k], given.kwargs[k], found) for k in wanted.kwargs)


def _same(wanted: Any, given: Any, found: dict[Node, Node]) -> bool:
    if isinstance(wanted, (tuple, list)):
        return type(wanted) is type(given) and len(wanted) == len(given) and all(
            _fits(a, b, found) for a, b in zip(wanted, given, strict=True))
    return type(wanted) is type(given) and bool(wanted == given)
