"""The backward pass: an iterative walk over the graph, no recursion however deep it is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import (
    AccumulateGrad,
    Hooks,
    Node,
    OutputOf,
    Watch,
    edge_of,
)
from flambeau.fields import TensorFields
from flambeau.modes import ACTIVE

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
    enabled, outer = MODE.enabled, CURRENT.walk
    MODE.enabled = create_graph
    CURRENT.walk = walk = _Walk(keep_graph, create_graph, captures)
    try:
        return walk.run(roots)
    finally:
        MODE.enabled, CURRENT.walk = enabled, outer


class _Current(threading.local):
    """The innermost backward pass of this thread, for hooks that ask what it will compute."""

    walk: _Walk | None = None


CURRENT = _Current()


class _Walk:
    def __init__(
        self, keep_graph: bool, create_graph: bool, captures: dict[Any, int] | None
    ) -> None:
        self.keep_graph, self.create_graph = keep_graph, create_graph
        self.captures = captures
        self.captured: list[Tensor | None] = [None] * len(captures or ())
        self.grads: dict[Any, Any] = {}
        self.waiting: dict[Any, int] = {}
        self.on_the_way: set[Any] | None = None

    def reaches(self, edge: Any) -> bool:
        """Whether the gradient that goes to an edge is computed in this pass."""
        on_the_way = self.on_the_way
        return edge in self.waiting and (
            on_the_way is None or edge in on_the_way or edge in (self.captures or ()))

    def run(self, roots: Sequence[tuple[Any, Tensor]]) -> list[Tensor | None]:
        nodes = [edge for edge, _ in roots if isinstance(edge, Node)]
        self.waiting = waiting = _count(nodes)
        grads, keep_graph = self.grads, self.keep_graph
        # Sums that nobody else sees may be added to in place, below the modes.
        own = not self.create_graph and not ACTIVE
        is_short = not _Anomaly.enabled() and Watch.run is None
        summed: set[Any] = set()
        for edge, g in roots:
            if edge in waiting:
                have = grads.get(edge)
                grads[edge] = g if have is None else have + g
            else:
                self._arrive(edge, g)
        ready = [node for node in dict.fromkeys(nodes) if not waiting[node]]
        self.on_the_way = on_the_way = (
            self._useful(waiting) if self.captures is not None else None)
        while ready:
            node = ready.pop()
            edges, g = node.edges, grads.pop(node, None)
            if g is None:
                results: Any = (None,) * len(edges)
            elif is_short and on_the_way is None and node.hooks is None and (
                    node.__class__ is not OutputOf):
                results = node.backward(g)
                if not keep_graph and node.saved:
                    node.release()
            else:
                results = self._watched(node, g, on_the_way)
            if len(results) != len(edges):
                raise RuntimeError(
                    f"{node.name()} returned an incorrect number of gradients (expected "
                    f"{len(edges)}, got {len(results)})")
            for i, edge in enumerate(edges):
                if edge is None:
                    continue
                g = results[i]
                left = waiting[edge]
                if isinstance(edge, TensorFields):
                    have = grads.get(edge)
                    if left == 1:  # the last one: hooks see the sum, once
                        if have is not None:
                            del grads[edge]
                            if g is None:
                                g = have
                            elif own and edge in summed:
                                g = _add_to(have, _fitting(g, edge))
                            else:
                                g = have + _fitting(g, edge)
                            have = None  # or the leaf would take it for somebody else's
                        if g is not None:
                            self._arrive(edge, g)
                    else:
                        waiting[edge] = left - 1
                        if g is None:
                            pass
                        elif have is None:
                            grads[edge] = _fitting(g, edge)
                        elif own and edge in summed:
                            grads[edge] = _add_to(have, _fitting(g, edge))
                        else:
                            grads[edge] = have + _fitting(g, edge)
                            summed.add(edge)
                    continue
                if g is not None:
                    if g.__class__ is _Slot:
                        # a saved output has an edge of its own, beside that of the output itself
                        slots = grads.setdefault(edge, {})
                        have = slots.get(g.position)
                        slots[g.position] = g.value if have is None else have + g.value
                    else:
                        native = g._native
                        if g._kind is not edge.kind or edge.shape != (
                            native.shape if native is not None else g.shape
                        ):
                            g = _fit(g, edge.kind, edge.shape)
                        have = grads.get(edge)
                        grads[edge] = g if have is None else have + g
                waiting[edge] = left - 1
                if left == 1:
                    ready.append(edge)
        return self.captured

    def _watched(self, node: Any, g: Any, on_the_way: set[Any] | None) -> tuple[Any, ...]:
        """Run a node that has hooks, or is one of several outputs, or may be a capture."""
        if node.hooks is not None:
            g = self._before(node.hooks, g)
        if on_the_way is not None:
            g = self._observe(node, g, on_the_way)
        return self._step(node, g)

    def _observe(self, node: Any, g: Any, on_the_way: set[Any]) -> Any:
        """Capture the gradient of a node; None unless it leads on to another capture."""
        assert self.captures is not None
        if node in self.captures:
            self.captured[self.captures[node]] = g
        return g if node in on_the_way else None

    def _arrive(self, leaf: Any, g: Tensor) -> None:
        """Accumulate into a leaf, or capture what would be accumulated."""
        g = _fitting(g, leaf)
        if self.captures is None:
            accumulate(leaf, g, self.create_graph)
        elif leaf in self.captures:
            if isinstance(leaf._extra, Hooks):
                g = leaf._extra.run_tensor_hooks(g)
            at = self.captures[leaf]
            before = self.captured[at]  # of another root, which is the leaf itself
            self.captured[at] = g if before is None else before + g

    def _useful(self, waiting: dict[Any, int]) -> set[Any]:
        """Nodes from which a captured edge can be reached (itself not counted)."""
        assert self.captures is not None
        parents: dict[Any, list[Any]] = {}
        for node in waiting:
            if isinstance(node, TensorFields):
                continue
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

    def _step(self, node: Any, g: Any) -> tuple[Any, ...]:
        """Run a node."""
        if g is None:
            return (None,) * len(node.edges)
        if node.__class__ is OutputOf:
            return (_Slot(node.position, g),)
        backward = Watch.run or _backward_of
        results: tuple[Any, ...] = (
            _Anomaly.backward(node, g) if _Anomaly.enabled() else backward(node, g))
        hooks = node.hooks
        if hooks is not None:
            for hook in tuple(hooks.post.values()):
                changed = hook(results, g if isinstance(g, tuple) else (g,))
                if changed is not None:
                    results = changed if isinstance(changed, tuple) else (changed,)
        if not self.keep_graph:
            node.release()
        return results

    @staticmethod
    def _before(hooks: Hooks, g: Any) -> Any:
        if not isinstance(g, dict):
            g = hooks.run_tensor_hooks(g)
        for hook in tuple(hooks.pre.values()):
            changed = hook(g if isinstance(g, tuple) else (g,))
            if changed is not None:
                g = changed[0] if isinstance(changed, tuple) else changed
        return g


def _backward_of(node: Any, g: Any) -> tuple[Any, ...]:
    results: tuple[Any, ...] = node.backward(g)
    return results


class _Anomaly:
    """Anomaly mode, which is loaded when somebody turns it on."""

    @staticmethod
    def enabled() -> bool:
        module = sys.modules.get("flambeau.autograd.anomaly")
        return module is not None and module.is_enabled()

    @staticmethod
    def backward(node: Any, g: Any) -> tuple[Any, ...]:
        from flambeau.autograd import anomaly

        try:
            results: tuple[Any, ...] = node.backward(g)
        except Exception:
            anomaly.tell(node)
            raise
        anomaly.check(node, results)
        return results


class _Slot:
    """The gradient of one output of a node that has several."""

    __slots__ = ("position", "value")

    def __init__(self, position: int, value: Tensor) -> None:
        self.position, self.value = position, value


def _count(nodes: list[Any]) -> dict[Any, int]:
    """For every node and leaf that can be reached: how many edges lead to it."""
    waiting: dict[Any, int] = dict.fromkeys(nodes, 0)
    stack = list(waiting)
    while stack:
        for edge in stack.pop().edges:
            if edge is None:
                continue
            seen = waiting.get(edge)
            if seen is not None:
                waiting[edge] = seen + 1
            else:
                waiting[edge] = 1
                if isinstance(edge, Node):
                    stack.append(edge)
    return waiting


@cache
def _additions() -> dict[Any, Any]:
    """The kernels that add in place, by kind."""
    from flambeau.registry import OPS

    return OPS["add"].fast_inplace


def _add_to(total: Tensor, g: Tensor) -> Tensor:
    """Add to a sum that only the walk knows: by the kernel itself, without a version to count."""
    kernel = _additions().get(total._kind)
    x, y = total._native, g._native
    if x is None and total._layout is None:  # a sparse one, which a dense one may make dense
        return total + g
    # what a kernel has just made without dimensions may be a number of the library's, not an array
    if kernel is None or x is None or y is None or not x.shape or (
            kernel(x, x, y) is NotImplemented):
        total.add_(g)
    return total


def _fitting(g: Tensor, leaf: Any) -> Tensor:
    """A gradient as a leaf takes it."""
    native, layout = g._native, leaf._layout
    if g._kind is not leaf._kind or (native.shape if native is not None else g.shape) != (
        layout.shape if layout is not None else leaf.shape
    ):
        return _fit(g, leaf._kind, leaf.shape)
    return g


def _fit(g: Tensor, kind: Any, shape: Any) -> Tensor:
    """A gradient in the dtype, on the device and in the shape of the tensor it belongs to."""
    if g._kind is not kind:
        g = g.to(device=kind.device, dtype=kind.dtype)
    if g.shape == shape:
        return g
    from flambeau.ops.shape import sum_to_size

    try:
        return sum_to_size(g, tuple(shape))
    except RuntimeError as error:
        raise RuntimeError(
            f"a backward function returned an invalid gradient: got shape {list(g.shape)} but "
            f"expected shape compatible with {list(shape)}"
        ) from error


def accumulate(leaf: Tensor, g: Tensor, create_graph: bool, is_hooked: bool = True) -> None:
    """Add a gradient to a leaf's ``.grad``, after the leaf's hooks if they have not run yet."""
    hooks = leaf._extra if isinstance(leaf._extra, Hooks) else None
    if hooks is not None and hooks.tensor and is_hooked:
        g = hooks.run_tensor_hooks(g)
    have = leaf._grad
    if have is None:
        leaf._grad = _own(g, create_graph)
    elif create_graph or have._layout is have._native:  # neither: a sparse one, of few rows
        leaf._grad = have + g
    else:
        have.add_(g)
    if hooks is not None:
        for hook in tuple(hooks.accumulated.values()):
            hook(leaf)


def _own(g: Tensor, create_graph: bool) -> Tensor:
    """The gradient itself if nobody else can see its memory, else a copy."""
    references = (sys.getrefcount(g), sys.getrefcount(g._native))
    if _Probe.counting == threading.get_ident():
        _Probe.references = references
        return g
    if create_graph:
        return g.clone() if g._base is not None else g
    if _Probe.references is None:
        _Probe.count()
        assert _Probe.references is not None
    fresh = (
        g._base is None
        and g._storage is None
        and references[0] <= _Probe.references[0]
        and references[1] <= _Probe.references[1]
    )
    return g if fresh else g.detach().clone()


class _Unheld:
    """A native that nobody holds, of a scalar."""

    shape = ()


class _Probe(Node):
    """Finds out how many references this engine itself holds to a gradient that it hands over.

    The numbers, of the tensor and of its native, depend on the interpreter's version and on whether
    the engine is compiled, so they are counted once, on a gradient that nobody else holds.
    """

    __slots__ = ()
    counting: int | None = None
    references: tuple[int, int] | None = None

    def backward(self, g: Tensor) -> tuple[Any, ...]:
        """A gradient that nobody holds."""
        from flambeau.tensor import from_native

        return (from_native(g._kind, _Unheld()),)

    @classmethod
    def count(cls) -> None:
        """Send one such gradient through the engine."""
        from flambeau import dtypes
        from flambeau.device import META
        from flambeau.dispatch import empty
        from flambeau.kind import kind_of
        from flambeau.layout import Layout

        kind = kind_of(META, dtypes.float32)
        leaf, g = (empty(kind, Layout.contiguous(())) for _ in range(2))
        g.native()
        node = cls()
        node.edges, node.saved, node.versions, node.hooks = (leaf,), (), (), None
        node.kind, node.shape = kind, leaf.shape
        cls.counting = threading.get_ident()
        try:
            run([(node, g)], keep_graph=False, create_graph=False)
        finally:
            cls.counting = None


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
    captures = {_edge(t): i for i, t in enumerate(leaves)}
    for leaf, g in zip(leaves, run(roots, keep, create_graph, captures), strict=True):
        if g is not None:
            target = leaf if isinstance(leaf, TensorFields) else _edge(leaf)
            # the walk has run the leaf's hooks
            accumulate(target, g, create_graph, is_hooked=False)  # type: ignore[arg-type]


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

    Args:
        is_grads_batched: dimension 0 of every one of ``grad_outputs`` counts vectors, for each of
            which gradients are wanted; it is dimension 0 of the results, too.

    Raises:
        RuntimeError: if an input does not require a gradient or was not used.
    """
    if is_grads_batched:
        from flambeau.func.tracking import batched_gradients

        return batched_gradients(
            outputs, inputs, _as_tuple(grad_outputs), retain_graph=retain_graph,
            create_graph=create_graph, allow_unused=allow_unused,
            materialize_grads=materialize_grads)
    outs, ins = _as_tuple(outputs), _as_tuple(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError("allow_unused should be True or not passed when materialize_grads is True")
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    captures: dict[Any, int] = {}
    slots: list[int] = []
    for t in ins:
        edge = _edge(t)
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
            g = _full_like(_edge(t), 0) if hasattr(t, "output_nr") else t.detach() * 0
        results.append(g)
    return tuple(results)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    several = isinstance(value, (list, tuple)) and not hasattr(value, "output_nr")
    return tuple(value) if several else (value,)


def _edge(t: Any) -> Any:
    """Where the gradient of a tensor, or of a ``GradientEdge`` in its place, goes."""
    if isinstance(t, TensorFields):
        return edge_of(t)  # type: ignore[arg-type]
    if isinstance(t.node, AccumulateGrad):
        return t.node.variable
    return t.ownership_token or t.node


def _full_like(edge: Any, value: int) -> Any:
    from flambeau.dispatch import full

    return full(edge._kind if isinstance(edge, TensorFields) else edge.kind, edge.shape, value)


def _roots(outs: tuple[Any, ...], given: tuple[Any, ...] | None) -> list[tuple[Any, Any]]:
    if given is not None and len(given) != len(outs):
        raise RuntimeError(f"got {len(outs)} tensors and {len(given)} gradients")
    roots = []
    for i, out in enumerate(outs):
        edge = _edge(out)
        if edge is None:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn"
            )
        g = given[i] if given is not None else None
        if not isinstance(out, TensorFields):  # a GradientEdge: the sizes are its node's
            out = _full_like(edge, 1)
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
