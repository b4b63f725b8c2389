"""The fields of tensors and of nodes: what every call reads and writes.

They stand in base classes of their own so that a compiled core can keep them in C structures
while ``Tensor`` and ``Node`` stay ordinary classes, to which operators are added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flambeau.autograd.node import Hooks, Node
    from flambeau.kind import Kind
    from flambeau.layout import Layout
    from flambeau.storage import Storage
    from flambeau.tensor import Tensor


class TensorFields:
    """What a tensor consists of."""

    __slots__ = (
        "_base",  # the tensor that this one is a differentiable view of
        "_extra",  # Hooks of a leaf, or a marker
        "_fn",  # the node that produced it
        "_grad",
        "_kind",
        "_layout",
        "_native",
        "_requires_grad",
        "_seen",  # storage version for which _fn is right, for views
        "_storage",
    )
    _native: Any
    _kind: Kind
    _storage: Storage | None
    _layout: Layout | None
    _base: Tensor | None
    _requires_grad: bool
    _fn: Node | None
    _grad: Tensor | None
    _seen: int
    _extra: Any


class NodeFields:
    """What a node of the backward graph consists of."""

    __slots__ = ("edges", "hooks", "kind", "saved", "shape", "versions")
    edges: tuple[Any, ...]
    kind: Kind
    shape: tuple[int, ...]
    saved: tuple[Any, ...] | None
    versions: tuple[int, ...]
    hooks: Hooks | None
