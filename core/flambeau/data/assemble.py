"""Batches made of plain CPU tensors in one pass, in a worker straight where they travel.

For small samples the calls cost more than the copying, so these functions do without the
dispatcher.  They decline (``None``) what is not plain: gradients, subclasses, other devices, modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from flambeau import modes
from flambeau.data import transport
from flambeau.device import CPU
from flambeau.tensor import Tensor, from_native

if TYPE_CHECKING:
    from flambeau.kind import Kind


def stack(batch: Sequence[Tensor]) -> Tensor | None:
    """Tensors of one shape and dtype, stacked in a new dimension 0."""
    first = batch[0]
    kind = first._kind
    if kind.device is not CPU or _is_watched() or not all(_is_plain(t, kind) for t in batch):
        return None
    natives = [t.native() for t in batch]
    shape = natives[0].shape
    if any(native.shape != shape for native in natives):
        return None
    stacked = _room((len(batch), *shape), kind)
    if shape:  # end to end, which is one call
        np.concatenate(natives, out=stacked.reshape(len(batch) * shape[0], *shape[1:]))
    else:
        stacked[...] = natives
    return from_native(kind, stacked)


def _is_watched() -> bool:
    """Whether a mode is on."""
    return bool(modes.ACTIVE)


def _is_plain(t: Tensor, kind: Kind) -> bool:
    return t.__class__ is Tensor and t._kind is kind and not t.requires_grad


def rows(tensor: Tensor, indices: Sequence[int]) -> Tensor | None:
    """``tensor[indices]``: the same as stacking ``tensor[i]`` for every ``i``.

    Raises:
        IndexError: an index is out of range.
    """
    kind, shape = tensor._kind, tensor.shape
    if kind.device is not CPU or not shape or _is_watched() or not _is_plain(tensor, kind):
        return None
    wanted = np.array(indices, np.int64)
    outside = wanted[(wanted < -shape[0]) | (wanted >= shape[0])]
    if outside.size:
        raise IndexError(
            f"index {outside[0]} is out of bounds for dimension 0 with size {shape[0]}"
        )
    gathered = _room((len(wanted), *shape[1:]), kind)
    np.take(tensor.native(), wanted, axis=0, out=gathered, mode="wrap")
    return from_native(kind, gathered)


def _room(shape: tuple[int, ...], kind: Kind) -> np.ndarray[Any, Any]:
    """Uninitialised memory: shared with the main process if this is a worker and it is worth it."""
    dtype = kind.dtype.numpy
    nbytes = int(np.prod(shape)) * dtype.itemsize
    if transport.arena is not None and nbytes >= transport.SMALL:
        memory = transport.arena.empty(nbytes)
        if memory is not None:
            return memory.view(dtype).reshape(shape)
    return np.empty(shape, dtype)
