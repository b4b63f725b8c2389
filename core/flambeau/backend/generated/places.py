"""Which elements of a table, of a dense side and of tensors of indices belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flambeau.backend import broadcast_shapes
from flambeau.layout import Layout


class Side(NamedTuple):
    """How a tensor is walked."""

    offset: int
    strides: tuple[int, ...]


class Places(NamedTuple):
    """Tensors that are walked together.

    Attributes:
        shape: of the walk.
        table: where its elements would lie if all indices were 0.
        value: the dense side.
        indices: the tensors of indices.
        extents: per index the size of its dimension of the table.
        jumps: per index the stride of that dimension.
        dims: per index the dimension.
    """

    shape: tuple[int, ...]
    table: Side
    value: Side
    indices: tuple[Side, ...]
    extents: tuple[int, ...]
    jumps: tuple[int, ...]
    dims: tuple[int, ...]


def along(table: Layout, dim: int, index: Layout, value: Layout | None) -> Places:
    """As gather and scatter pair them: one index per element, which replaces one coordinate.

    Args:
        value: of the shape of the index; None for a number.
    """
    shape = tuple(index.shape) or (1,)
    strides = table.strides or (0,)
    return Places(
        shape, Side(table.offset, tuple(0 if d == dim else s for d, s in enumerate(strides))),
        Side(0, (0,) * len(shape)) if value is None else Side(value.offset, _strides(value)),
        (Side(index.offset, _strides(index)),), (table.shape[dim] if table.ndim else 1,),
        (strides[dim],), (dim,))


def _strides(layout: Layout) -> tuple[int, ...]:
    return layout.strides or (0,)


def indexed_shape(table: Layout, indices: Mapping[int, Layout]) -> tuple[tuple[int, ...], int]:
    """The shape of ``table[indices]``, and the position in it of the indices' own shape.

    Args:
        indices: by the dimension that they index; their shapes are broadcast.
    """
    common = broadcast_shapes(*(i.shape for i in indices.values()))
    dims = list(indices)
    front = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0
    rest = [n for d, n in enumerate(table.shape) if d not in indices]
    return (*rest[:front], *common, *rest[front:]), front


def broadcast(table: Layout, indices: Mapping[int, Layout], value: Layout) -> Places:
    """As ``table[indices]`` pairs them.

    Args:
        value: of that shape, or one that can be expanded to it.
    """
    shape, front = indexed_shape(table, indices)
    common = broadcast_shapes(*(i.shape for i in indices.values()))
    kept = [s for d, s in enumerate(table.strides) if d not in indices]
    after = len(kept) - front

    def inside(strides: Sequence[int]) -> tuple[int, ...]:
        return (*[0] * front, *strides, *[0] * after)

    return Places(
        shape, Side(table.offset, (*kept[:front], *[0] * len(common), *kept[front:])),
        Side(value.offset, value.expand(shape).strides),
        tuple(Side(i.offset, inside(i.expand(common).strides)) for i in indices.values()),
        tuple(table.shape[d] for d in indices), tuple(table.strides[d] for d in indices),
        tuple(indices))
