"""Pictures of the graph that autograd has recorded, in Graphviz's DOT language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flambeau.autograd.node import Node, OutputOf, edge_of, saved_slots
from flambeau.tensor import Tensor

__all__ = ["draw", "to_dot"]

LEAF, RESULT, SAVED = "#c6e5b1", "#f6c9a8", "#dfe7f2"
"""Colours of leaves, of the tensors that are drawn, and of saved tensors."""


def to_dot(
    tensors: Tensor | Iterable[Tensor], params: Any = None, *, show_saved: bool = False
) -> str:
    """The graph behind tensors as DOT text: a box per step, an ellipse per leaf.

    Arrows go the way that values went, from leaves to results.

    Args:
        tensors: the results.
        params: a module, or a dict or pairs of names and tensors, that name leaves.
        show_saved: draw what steps keep for the backward pass, too.

    Raises:
        ValueError: if a tensor has no history and is no leaf that requires a gradient.
    """
    drawing = _Drawing(_names(params), show_saved)
    for i, t in enumerate((tensors,) if isinstance(tensors, Tensor) else tensors):
        edge = edge_of(t)
        if edge is None:
            raise ValueError(
                f"tensor {i} does not require a gradient: autograd has recorded nothing of it")
        if isinstance(edge, Node):
            drawing.result(t, edge)
        else:
            drawing.name_of(edge)
    return drawing.text()


def draw(
    tensors: Tensor | Iterable[Tensor], path: str | Path, params: Any = None, *,
    show_saved: bool = False,
) -> Path:
    """Draw the graph behind tensors into a file.

    Args:
        path: ending in ``.dot`` or ``.gv`` for text; else the picture's format, as ``.svg``,
            ``.png``, ``.pdf``, which the package ``graphviz`` and its program make.
        params, show_saved: as of :func:`to_dot`.

    Raises:
        ImportError: if a picture is asked for and the package is not installed.
    """
    path, text = Path(path), to_dot(tensors, params, show_saved=show_saved)
    if path.suffix in (".dot", ".gv"):
        path.write_text(text)
        return path
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            'drawing pictures needs graphviz: pip install "flambeau[graph]", or ask for a .dot '
            "file") from error
    path.write_bytes(graphviz.Source(text).pipe(format=path.suffix[1:] or "svg"))
    return path


def _names(params: Any) -> dict[int, str]:
    if params is None:
        return {}
    if hasattr(params, "named_parameters"):
        params = params.named_parameters()
    pairs = params.items() if isinstance(params, Mapping) else params
    return {id(t): name for name, t in pairs}


class _Drawing:
    """Collects boxes and arrows; every node and leaf is drawn once."""

    def __init__(self, names: dict[int, str], show_saved: bool) -> None:
        self._names, self._show_saved = names, show_saved
        self._ids: dict[Any, str] = {}
        self._drawn: set[Any] = set()
        self._boxes: list[str] = []
        self._arrows: list[str] = []

    def text(self) -> str:
        """The whole drawing."""
        head = ["digraph autograd {", '  node [fontname="monospace", fontsize=10, shape=box];']
        return "\n".join([*head, *self._boxes, *self._arrows, "}"]) + "\n"

    def result(self, t: Tensor, edge: Any) -> None:
        """Draw a result and all that it depends on."""
        style = f'shape=ellipse, style=filled, fillcolor="{RESULT}"'
        end = self._box(self._label(t, "result"), style)
        self._arrow(self._walk(edge), end, edge)

    def name_of(self, edge: Any) -> str:
        """The name of the box of a node or leaf, drawn now if it is new."""
        if edge not in self._ids:
            if isinstance(edge, Node):
                self._ids[edge] = self._box(edge.name(), "")
            else:
                self._ids[edge] = self._box(
                    self._label(edge, "leaf"), f'shape=ellipse, style=filled, fillcolor="{LEAF}"')
        return self._ids[edge]

    def _walk(self, start: Any) -> str:
        """Draw everything behind an edge, without recursion however deep it is."""
        stack = [_step(start)]
        while stack:
            node = stack.pop()
            here = self.name_of(node)
            if node in self._drawn:
                continue
            self._drawn.add(node)
            if self._show_saved:
                self._draw_saved(node, here)
            for edge in node.edges:
                if edge is None:
                    continue
                before = _step(edge)
                self._arrow(self.name_of(before), here, edge)
                if isinstance(before, Node):
                    stack.append(before)
        return self._ids[_step(start)]

    def _draw_saved(self, node: Any, here: str) -> None:
        slots = saved_slots(node.op) if hasattr(node, "op") else ()
        names = [s.name for s in slots] or [str(i) for i in range(len(node.saved or ()))]
        for name, value in zip(names, node.saved or (), strict=False):
            if isinstance(value, Tensor):
                end = self._box(
                    f"saved {name}\n{_facts(value)}", f'style=filled, fillcolor="{SAVED}"')
                self._arrows.append(f"  {end} -> {here} [style=dashed, arrowhead=none];")

    def _label(self, t: Tensor, otherwise: str) -> str:
        return f"{self._names.get(id(t), otherwise)}\n{_facts(t)}"

    def _box(self, label: str, style: str) -> str:
        name = f"n{len(self._boxes)}"
        styled = f", {style}" if style else ""
        self._boxes.append(f"  {name} [label={_quoted(label)}{styled}];")
        return name

    def _arrow(self, start: str, end: str, edge: Any) -> None:
        output = f' [label="{edge.position}"]' if isinstance(edge, OutputOf) else ""
        self._arrows.append(f"  {start} -> {end}{output};")


def _step(edge: Any) -> Any:
    """The node behind an edge, in place of one of its outputs."""
    return edge.edges[0] if isinstance(edge, OutputOf) else edge


def _facts(t: Tensor) -> str:
    return f"{t.dtype.name} {list(t.shape)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
