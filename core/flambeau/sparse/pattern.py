"""Where the elements of a sparse tensor stand: patterns of coordinates and compressed patterns.

A pattern knows a shape and the places of ``nnz`` values in it, but no values.  It is made of dense
integer tensors of any device, and all that it computes is written in ops.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import flambeau as fb
from flambeau.layout import Size, product
from flambeau.ops.facts import layout as LayoutName
from flambeau.ops.facts import sparse_bsc, sparse_bsr, sparse_coo, sparse_csc, sparse_csr
from flambeau.tensor import Tensor

BY_ROWS: Final = (sparse_csr, sparse_bsr)
BLOCKED: Final = (sparse_bsr, sparse_bsc)
COMPRESSED: Final = (sparse_csr, sparse_csc, sparse_bsr, sparse_bsc)


class Coordinates:
    """One column of coordinates per value; a value is a block of the dense dimensions.

    Attributes:
        indices: (sparse_dim, nnz), int64.
        is_coalesced: whether no place is named twice and the places are in row-major order.
    """

    layout: Final = sparse_coo

    def __init__(self, indices: Tensor, shape: Sequence[int], is_coalesced: bool = False) -> None:
        self.indices, self.shape = indices, Size(shape)
        self.is_coalesced = is_coalesced or indices.shape[1] < 2
        self.sparse_dim = indices.shape[0]
        self.dense_dim = len(self.shape) - self.sparse_dim
        self.nnz: int = indices.shape[1]

    @property
    def dense_shape(self) -> tuple[int, ...]:
        """The sizes of the dense dimensions."""
        return tuple(self.shape)[self.sparse_dim :]

    @cached_property
    def keys(self) -> Tensor:
        """The places as row-major numbers (nnz,)."""
        total = fb.zeros(self.nnz, dtype=fb.int64, device=self.indices.device)
        for d in range(self.sparse_dim):
            total = total * self.shape[d] + self.indices[d]
        return total

    def with_keys(self, keys: Tensor) -> Coordinates:
        """The pattern of some places, given as row-major numbers in ascending order."""
        rest, found = keys, []
        for n in reversed(tuple(self.shape)[: self.sparse_dim]):
            found.append(rest % n)
            rest = rest // n
        indices = fb.stack(found[::-1]) if found else fb.zeros(
            0, keys.shape[0], dtype=fb.int64, device=keys.device)
        return Coordinates(indices, self.shape, is_coalesced=True)

    @cached_property
    def _merged(self) -> tuple[Coordinates, Tensor]:
        keys, inverse = fb.unique(self.keys, sorted=True, return_inverse=True)
        return self.with_keys(keys), inverse

    def coalesce(self, values: Tensor) -> tuple[Coordinates, Tensor]:
        """The pattern with every place once, and the sums of the values there."""
        if self.is_coalesced:
            return self, values
        pattern, inverse = self._merged
        is_bool = values.dtype is fb.bool
        given = values.int() if is_bool else values
        total = fb.index_add(given.new_zeros(pattern.nnz, *self.dense_shape), 0, inverse, given)
        return pattern, total.bool() if is_bool else total

    def mean_of_duplicates(self, values: Tensor) -> tuple[Coordinates, Tensor]:
        """The pattern with every place once, and the means of the values there."""
        pattern, total = self.coalesce(values)
        if pattern is self:
            return pattern, total
        _, counts = self.coalesce(values.new_ones(self.nnz, *(1,) * self.dense_dim))
        return pattern, total / counts

    def scatter(self, values: Tensor) -> Tensor:
        """The dense tensor: values at their places, 0 elsewhere."""
        count = product(tuple(self.shape)[: self.sparse_dim])
        given = values.int() if values.dtype is fb.bool else values
        total = fb.index_add(given.new_zeros(count, *self.dense_shape), 0, self.keys, given)
        result: Tensor = total.to(values.dtype).reshape(self.shape)
        return result

    def take(self, dense: Tensor) -> Tensor:
        """The elements of a dense tensor of this shape at the places."""
        count = product(tuple(self.shape)[: self.sparse_dim])
        flat = dense.expand(self.shape).reshape(count, *self.dense_shape)
        result: Tensor = fb.index_select(flat, 0, self.keys)
        return result

    def take_from(self, other: Coordinates, values: Tensor) -> Tensor:
        """The elements of a coalesced sparse tensor at these places, 0 where it has none."""
        if other is self or (self.is_coalesced and other.indices is self.indices):
            return values
        if not other.nnz:
            return values.new_zeros(self.nnz, *self.dense_shape)
        at = fb.searchsorted(other.keys, self.keys).clamp(max=other.nnz - 1)
        is_there = fb.index_select(other.keys, 0, at) == self.keys
        found: Tensor = fb.where(
            is_there.reshape(-1, *(1,) * self.dense_dim), fb.index_select(values, 0, at), 0)
        return found

    def to(self, device: Any) -> Coordinates:
        """The pattern on a device."""
        if self.indices.device == device:
            return self
        return Coordinates(self.indices.to(device), self.shape, self.is_coalesced)

    def parts(self) -> tuple[Tensor, ...]:
        """The tensors it is made of."""
        return (self.indices,)

    def copy(self) -> Coordinates:
        """The pattern over memory of its own."""
        return Coordinates(self.indices.clone(), self.shape, self.is_coalesced)


class Compressed:
    """Rows (or columns) of values one after the other: where each begins, and the other coordinate.

    Attributes:
        starts: (*batch, rows + 1); the compressed dimension's count of values before each line.
        others: (*batch, nnz); the coordinate within the line.
        blocksize: the sizes of a value's block, (1, 1) for CSR and CSC.
    """

    is_coalesced: Final = True

    def __init__(
        self, layout: LayoutName, starts: Tensor, others: Tensor, shape: Sequence[int],
        blocksize: Sequence[int] = (1, 1),
    ) -> None:
        self.layout, self.starts, self.others = layout, starts, others
        self.shape, self.blocksize = Size(shape), (int(blocksize[0]), int(blocksize[1]))
        self.batch_dim = starts.ndim - 1
        self.sparse_dim = 2
        self.dense_dim = len(self.shape) - self.batch_dim - 2
        self.nnz: int = others.shape[-1]

    @property
    def is_by_rows(self) -> bool:
        """Whether rows are the lines, not columns."""
        return self.layout in BY_ROWS

    @property
    def is_blocked(self) -> bool:
        """Whether a value is a block of a matrix."""
        return self.layout in BLOCKED

    @cached_property
    def coordinates(self) -> Coordinates:
        """The places of the blocks, batch dimensions among the sparse ones.

        Its shape is (*batch, block rows, block columns, *block, *dense).
        """
        batch = tuple(self.starts.shape[:-1])
        count, lines = product(batch), self.starts.shape[-1] - 1
        place = self.starts.device
        starts = self.starts.long().reshape(count, lines + 1)
        at = fb.arange(self.nnz, device=place).expand(count, self.nnz).contiguous()
        line = (fb.searchsorted(starts.contiguous(), at, right=True) - 1).reshape(-1)
        other = self.others.long().reshape(-1)
        pair = [line, other] if self.is_by_rows else [other, line]
        numbers = fb.arange(count, device=place).unsqueeze(1).expand(count, self.nnz).reshape(-1)
        indices: list[Tensor] = []
        for n in reversed(batch):
            indices.insert(0, numbers % n)
            numbers = numbers // n
        return Coordinates(
            fb.stack([*indices, *pair]), self._block_shape(), is_coalesced=self.is_by_rows)

    def _block_shape(self) -> tuple[int, ...]:
        b, shape = self.batch_dim, tuple(self.shape)
        high, wide = self.blocksize
        blocks = (*shape[:b], shape[b] // high, shape[b + 1] // wide)
        return (*blocks, *(self.blocksize if self.is_blocked else ()), *shape[b + 2 :])

    def flat(self, values: Tensor) -> Tensor:
        """Values with the batch dimensions and the number of the value in one."""
        result: Tensor = values.reshape(-1, *values.shape[self.batch_dim + 1 :])
        return result

    def _from_flat(self, flat: Tensor) -> Tensor:
        result: Tensor = flat.reshape(*self.others.shape, *flat.shape[1:])
        return result

    def scatter(self, values: Tensor) -> Tensor:
        """The dense tensor: values at their places, 0 elsewhere."""
        dense = self.coordinates.scatter(self.flat(values))
        if self.is_blocked:
            b = self.batch_dim
            dense = dense.transpose(b + 1, b + 2)
        result: Tensor = dense.reshape(self.shape)
        return result

    def take(self, dense: Tensor) -> Tensor:
        """The elements of a dense tensor of this shape at the places."""
        return self._from_flat(self.coordinates.take(self.in_blocks(dense)))

    def in_blocks(self, dense: Tensor) -> Tensor:
        """A dense tensor of this shape with the elements of a block as dimensions of their own."""
        dense = dense.expand(self.shape)
        if self.is_blocked:
            b, shape = self.batch_dim, tuple(self.shape)
            high, wide = self.blocksize
            dense = dense.reshape(
                *shape[:b], shape[b] // high, high, shape[b + 1] // wide, wide, *shape[b + 2 :]
            ).transpose(b + 1, b + 2)
        return dense

    def to(self, device: Any) -> Compressed:
        """The pattern on a device."""
        if self.starts.device == device:
            return self
        return self._with(self.starts.to(device), self.others.to(device))

    def parts(self) -> tuple[Tensor, ...]:
        """The tensors it is made of."""
        return self.starts, self.others

    def copy(self) -> Compressed:
        """The pattern over memory of its own."""
        return self._with(self.starts.clone(), self.others.clone())

    def _with(self, starts: Tensor, others: Tensor) -> Compressed:
        return Compressed(self.layout, starts, others, self.shape, self.blocksize)


Pattern = Coordinates | Compressed


def starts_of(lines: Tensor, count: int) -> Tensor:
    """Where each of ``count`` lines begins, from the sorted line numbers of the values."""
    sizes = fb.index_add(
        fb.zeros(count, dtype=fb.int64, device=lines.device), 0, lines,
        lines.new_ones(lines.shape))
    result: Tensor = fb.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    return result
