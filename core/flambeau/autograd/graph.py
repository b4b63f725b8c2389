"""The graph that autograd records: its edges, hooks on it, and pictures of it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from flambeau.autograd.drawing import draw, to_dot
from flambeau.autograd.engine import CURRENT
from flambeau.autograd.node import AccumulateGrad, Node, OutputOf, edge_of
from flambeau.autograd.saved import disable_saved_tensors_hooks, saved_tensors_hooks
from flambeau.hooks import RemovableHandle
from flambeau.tensor import Tensor

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "draw", "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks", "to_dot",
]


# ---- edges ---------------------------------------------------------------------------------
class GradientEdge(NamedTuple):
    """Where the gradient of a tensor enters the graph: a node, and which of its outputs."""

    node: Node
    output_nr: int
    ownership_token: Node | None = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge of a tensor, which ``grad`` and ``backward`` take in its place.

    Raises:
        RuntimeError: if the tensor requires no gradient.
    """
    edge = edge_of(tensor)
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients")
    if isinstance(edge, OutputOf):
        return GradientEdge(edge.edges[0], edge.position, edge)
    return GradientEdge(edge if isinstance(edge, Node) else AccumulateGrad.of(edge), 0)


# ---- saved tensors -------------------------------------------------------------------------
class save_on_cpu(saved_tensors_hooks):
    """Keeps saved tensors in the host's memory and moves them back in the backward pass.

    Args:
        pin_memory: accepted; copies come from ordinary memory.
        device_type: accepted; tensors go back to where they were.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(t: Tensor) -> tuple[Any, Tensor]:
            return t.device, t.cpu()

        def unpack(packed: tuple[Any, Tensor]) -> Tensor:
            device, t = packed
            return t.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


class _Copies:
    """The copies of saved tensors that a context holds."""

    def __init__(self) -> None:
        self._held: dict[object, Tensor] = {}
        self._is_open = True

    def keep(self, t: Tensor) -> object:
        """Hold a copy; what it is found by."""
        key = object()
        self._held[key] = t.clone()
        return key

    def find(self, key: object) -> Tensor:
        """The copy."""
        if not self._is_open:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in "
                "which the graph was originally recorded.")
        return self._held[key]

    def clear(self) -> None:
        """Drop all copies."""
        self._held.clear()

    def close(self) -> None:
        """Drop all copies, for good."""
        self._is_open = False
        self.clear()


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_Copies]:
    """Within the context, tensors may be modified in place although the backward needs them.

    Every saved tensor is copied.  The backward pass must run within the context.
    """
    copies = _Copies()
    with saved_tensors_hooks(copies.keep, copies.find):
        try:
            yield copies
        finally:
            copies.close()


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Say that tensors were modified by means that autograd did not see."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        t.storage_().version += 1


# ---- hooks ---------------------------------------------------------------------------------
def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: Literal["all", "any"] = "all"
) -> RemovableHandle:
    """Call a hook when the gradients of several tensors have been computed.

    Args:
        fn: for "all", called once per backward pass with the list of gradients, None where a pass
            computes none; for "any", called with the first gradient of a pass.

    Raises:
        ValueError: for another mode.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    watch = _Passes(tensors, fn) if mode == "all" else _First(fn)
    handles = [
        t.register_hook(functools.partial(watch, i)) for i, t in enumerate(tensors)]
    return _Handles(handles)


class _Handles(RemovableHandle):
    """The handles of several hooks as one."""

    def __init__(self, handles: list[RemovableHandle]) -> None:
        super().__init__({})
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Take all hooks out."""
        for handle in self.handles:
            handle.remove()


class _Passes:
    """Collects gradients until a pass has computed all that it will."""

    def __init__(self, tensors: Sequence[Tensor], fn: Callable[..., None]) -> None:
        self._edges = [edge_of(t) for t in tensors]
        self._fn, self._lock = fn, threading.Lock()
        self._pass: Any = None
        self._missing = 0
        self._grads: list[Any] = []

    def __call__(self, i: int, g: Tensor) -> None:
        with self._lock:
            walk = CURRENT.walk
            if self._pass is not walk:
                assert walk is not None
                self._pass, self._grads = walk, [None] * len(self._edges)
                self._missing = sum(map(walk.reaches, self._edges))
            self._grads[i] = g
            self._missing -= 1
            done, grads = not self._missing, self._grads
            if done:
                self._pass, self._grads = None, []
        if done:
            self._fn(grads)


class _First:
    """Passes the first gradient of every pass on."""

    def __init__(self, fn: Callable[..., None]) -> None:
        self._fn, self._lock = fn, threading.Lock()
        self._passes: Any = None

    def __call__(self, i: int, g: Tensor) -> None:
        import weakref

        with self._lock:
            walk = CURRENT.walk
            assert walk is not None
            if self._passes is not None and self._passes() is walk:
                return
            self._passes = weakref.ref(walk)
        self._fn(g)
