"""Running an op on lists of tensors with the least overhead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau import modes
from flambeau.tensor import Tensor

Lists = Sequence[Sequence[Tensor]]


def update(function: Any, lists: Lists, written: Lists, **settings: Any) -> None:
    """Run an in-place op of lists of tensors, straight by the backend's kernel if it has one.

    Args:
        function: the op, ``function(*lists, **settings)``.
        lists: its first arguments, lists of one tensor per parameter, or empty ones.
        written: those of the lists that it writes to.
    """
    # A write counts as one for autograd; this also gives every tensor an array of its own.
    for tensors in written:
        for t in tensors:
            (t._storage or t.storage_()).version += 1
    first = lists[0]
    kind = first[0]._kind
    kernel = kind.backend.kernels.fresh.get(function.op.name)
    if kernel is None or modes.ACTIVE or any(
            t._kind is not kind for tensors in lists for t in tensors) or (
            modes.OVERRIDING and any(modes.is_watched(*tensors) for tensors in lists)):
        function(*lists, **settings)
        return
    if len(set(map(id, first))) < len(first):  # a tensor twice: one write after the other
        function.op.decompose(*lists, **settings)
        return
    natives = [
        [t._native if t._native is not None else t.native() for t in tensors]
        for tensors in lists]
    if kernel(*natives, **settings) is NotImplemented:
        function.op.decompose(*lists, **settings)
