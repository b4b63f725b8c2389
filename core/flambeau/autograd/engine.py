"""The backward pass: an iterative walk over the graph, no recursion however deep it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import Hooks, Node, OutputOf, edge_of

if TYPE_CHECKING:
    from flambeau.tensor import Tensor


def run(
    roots: Sequence[tuple[Any, Tensor]],
    keep_graph: bool,
    create_graph: bool,
    captures: dict[Any, int] | None = None,
) -> list[Tensor | None]:
    """Propagate gradients from the roots.

    Args:
        roots: pairs of an edge (a node or a leaf) and the gradient that enters there.
        keep_graph: keep what nodes saved, so that the graph can be walked again.
        create_graph: record the backward computation itself.
        captures: edges whose gradients are returned, at the positions given; with it nothing
            is accumulated into leaves and only nodes on the way to a capture run.
    """
    enabled = MODE.enabled
    MODE.enabled = create_graph
    try:
        return _Walk(keep_graph, create_graph, captures).run(roots)
    finally:
        MODE.enabled = enabled


class _Walk:
    def __init__(
        self, keep_graph: bool, create_graph: bool, captures: dict[Any, int] | None
    ) -> None:
        self.keep_graph, self.create_graph = keep_graph, create_graph
        self.captures = captures
        self.captured: list[Tensor | None] = [None] * len(captures or ())
        self.grads: dict[Any, Any] = {}

    def run(self, roots: Sequence[tuple[Any, Tensor]]) -> list[Tensor | None]:
        waiting = self._count([edge for edge, _ in roots if isinstance(edge, Node)])
        grads = self.grads
        for edge, g in roots:
            self._send(edge, g)
        ready = [e for e in dict.fromkeys(e for e, _ in roots) if e in waiting and not waiting[e]]
        on_the_way = self._useful(waiting) if self.captures is not None else None
        while ready:
            node = ready.pop()
            g = grads.pop(node, None)
            if g is not None:
                if node.hooks is not None:
                    g = self._before(node.hooks, g)
                if self.captures is not None and node in self.captures:
                    self.captured[self.captures[node]] = g
                if on_the_way is None or node in on_the_way:
                    self._step(node, g)
            for edge in node.edges:
                if edge in waiting:
                    waiting[edge] -= 1
                    if not waiting[edge]:
                        ready.append(edge)
        return self.captured

    @staticmethod
    def _count(nodes: list[Any]) -> dict[Any, int]:
        """For every node that can be reached: how many edges lead to it."""
        waiting: dict[Any, int] = dict.fromkeys(nodes, 0)
        stack = list(waiting)
        while stack:
            for edge in stack.pop().edges:
                if isinstance(edge, Node):
                    if edge in waiting:
                        waiting[edge] += 1
                    else:
                        waiting[edge] = 1
                        stack.append(edge)
        return waiting

    def _useful(self, waiting: dict[Any, int]) -> set[Any]:
        """Nodes from which a captured edge can be reached (itself not counted)."""
        assert self.captures is not None
        parents: dict[Any, list[Any]] = {}
        for node in waiting:
            for edge in node.edges:
                if edge is not None:
                    parents.setdefault(edge, []).append(node)
        useful: set[Any] = set()
        stack = list(self.captures)
        while stack:
            for parent in parents.get(stack.pop(), ()):
                if parent not in useful:
                    useful.add(parent)
                    stack.append(parent)
        return useful

    def _step(self, node: Any, g: Any) -> None:
        if isinstance(node, OutputOf):
            parent = node.edges[0]
            slots = self.grads.get(parent)
            if slots is None:
                slots = self.grads[parent] = {}
            slots[node.position] = g
            return
        results = node.backward(g)
        if node.hooks is not None:
            for hook in tuple(node.hooks.post.values()):
                changed = hook(results, g if isinstance(g, tuple) else (g,))
                if changed is not None:
                    results = changed if isinstance(changed, tuple) else (changed,)
        if not self.keep_graph:
            node.release()
        for edge, result in zip(node.edges, results, strict=True):
            if edge is not None and result is not None:
                self._send(edge, result)

    @staticmethod
    def _before(hooks: Hooks, g: Any) -> Any:
        if not isinstance(g, dict):
            g = hooks.run_tensor_hooks(g)
        for hook in tuple(hooks.pre.values()):
            changed = hook(g if isinstance(g, tuple) else (g,))
            if changed is not None:
                g = changed[0] if isinstance(changed, tuple) else changed
        return g

    def _send(self, edge: Any, g: Tensor) -> None:
        """Add a gradient to what an edge has received, in the form of the edge's tensor."""
        if g._kind is not edge._kind if not isinstance(edge, Node) else g._kind is not edge.kind:
            g = g.to(device=_kind(edge).device, dtype=_kind(edge).dtype)
        native = g._native
        shape = native.shape if native is not None else g.shape
        if shape != edge.shape:
            g = _fit(g, edge)
        if isinstance(edge, Node):
            have = self.grads.get(edge)
            self.grads[edge] = g if have is None else have + g
        elif self.captures is None:
            accumulate(edge, g, self.create_graph)
        elif edge in self.captures:
            if edge._extra is not None and isinstance(edge._extra, Hooks):
                g = edge._extra.run_tensor_hooks(g)
            at = self.captures[edge]
            before = self.captured[at]
            self.captured[at] = g if before is None else before + g


def _kind(edge: Any) -> Any:
    return edge.kind if isinstance(edge, Node) else edge._kind


def _fit(g: Tensor, edge: Any) -> Tensor:
    """Sum a gradient down to the shape of the tensor it belongs to."""
    from flambeau.ops.shape import sum_to_size

    try:
        fitted: Tensor = sum_to_size(g, tuple(edge.shape))
        return fitted
    except RuntimeError as error:
        raise RuntimeError(
            f"a backward function returned an invalid gradient: got shape {list(g.shape)} but "
            f"expected shape compatible with {list(edge.shape)}"
        ) from error


def accumulate(leaf: Tensor, g: Tensor, create_graph: bool) -> None:
    """Add a gradient to a leaf's ``.grad``, after the leaf's hooks."""
    hooks = leaf._extra if isinstance(leaf._extra, Hooks) else None
    if hooks is not None and hooks.tensor:
        g = hooks.run_tensor_hooks(g)
    have = leaf._grad
    if have is None:
        leaf._grad = _own(g, create_graph)
    elif create_graph:
        leaf._grad = have + g
    else:
        have.add_(g)
    if hooks is not None:
        for hook in tuple(hooks.accumulated.values()):
            hook(leaf)


def _own(g: Tensor, create_graph: bool) -> Tensor:
    """The gradient itself if nobody else can see its memory, else a copy."""
    if create_graph:
        return g.clone() if g._base is not None else g
    fresh = (
        g._base is None
        and g._storage is None
        and sys.getrefcount(g._native) == 2
        and sys.getrefcount(g) <= 6
    )
    return g if fresh else g.detach().clone()


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate into leaves the gradients of the sum of ``tensors``.

    Args:
        grad_tensors: gradients that enter at each tensor; 1 for scalars if None.
        inputs: accumulate only into these leaves.
    """
    outs = _as_tuple(tensors)
    roots = _roots(outs, _as_tuple(grad_tensors) if grad_tensors is not None else None)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run(roots, keep, create_graph)
        return
    leaves = _as_tuple(inputs)
    if not leaves:
        raise RuntimeError("'inputs' argument to 'backward()' cannot be empty.")
    captures = {edge_of(t): i for i, t in enumerate(leaves)}
    for leaf, g in zip(leaves, run(roots, keep, create_graph, captures), strict=True):
        if g is not None:
            accumulate(leaf, g, create_graph)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients of the sum of ``outputs`` with respect to ``inputs``, as a tuple.

    Raises:
        RuntimeError: if an input does not require a gradient or was not used.
    """
    if is_grads_batched:
        raise NotImplementedError("grad(): is_grads_batched=True is not supported yet")
    outs, ins = _as_tuple(outputs), _as_tuple(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError("allow_unused should be True or not passed when materialize_grads is True")
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    captures: dict[Any, int] = {}
    slots: list[int] = []
    for t in ins:
        edge = edge_of(t)
        if edge is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        slots.append(captures.setdefault(edge, len(captures)))
    roots = _roots(outs, _as_tuple(grad_outputs) if grad_outputs is not None else None)
    keep = create_graph if retain_graph is None else retain_graph
    found = run(roots, keep, create_graph, captures)
    results = []
    for t, slot in zip(ins, slots, strict=True):
        g: Any = found[slot]
        if g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        if g is None and materialize_grads:
            g = t.detach() * 0
        results.append(g)
    return tuple(results)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _roots(outs: tuple[Any, ...], grads: tuple[Any, ...] | None) -> list[tuple[Any, Any]]:
    if grads is not None and len(grads) != len(outs):
        raise RuntimeError(f"got {len(outs)} tensors and {len(grads)} gradients")
    roots = []
    for i, out in enumerate(outs):
        edge = edge_of(out)
        if edge is None:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn"
            )
        g = grads[i] if grads is not None else None
        if g is None:
            if out.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if out._kind.dtype.is_complex:
                raise RuntimeError(
                    "grad can be implicitly created only for real scalar outputs but got "
                    f"{out.dtype}"
                )
            g = out._ones_like()
        elif g.shape != out.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {list(g.shape)} and "
                f"output[{i}] has a shape of {list(out.shape)}."
            )
        roots.append((edge, g))
    return roots
