"""Reordering, joining and cutting of sparse tensors: arithmetic on coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.errors import LayoutError
from flambeau.layout import wrap_dim
from flambeau.ops.facts import sparse_bsc, sparse_bsr, sparse_coo, sparse_csc, sparse_csr
from flambeau.sparse.convert import coalesced, to_sparse_coo
from flambeau.sparse.pattern import Compressed, Coordinates
from flambeau.sparse.tensor import SparseTensor, from_values, implements, values_of

_TURNED = {
    sparse_csr: sparse_csc, sparse_csc: sparse_csr, sparse_bsr: sparse_bsc, sparse_bsc: sparse_bsr}


@implements("permute", "permute_copy")
def permute(self: Any, dims: Sequence[int]) -> Any:
    """Reorder the dimensions; sparse ones stay before dense ones."""
    order = [wrap_dim(d, self.ndim) for d in dims]
    if sorted(order) != list(range(self.ndim)):
        raise RuntimeError(f"permute(dims={list(dims)}): not an order of {self.ndim} dimensions")
    if order == list(range(self.ndim)):
        return self
    if self.layout is not sparse_coo:
        return _turned(self, order)
    pattern = self._pattern
    n = pattern.sparse_dim
    if any(d >= n for d in order[:n]):
        raise RuntimeError(
            "permute: sparse dimensions and dense dimensions cannot change places")
    indices = fb.index_select(
        pattern.indices, 0, fb.tensor(order[:n], dtype=fb.int64, device=self.device))
    values = values_of(self).permute(0, *(d - n + 1 for d in order[n:]))
    return from_values(Coordinates(indices, [self.shape[d] for d in order]), values)


def _turned(t: Any, order: list[int]) -> Any:
    """A compressed tensor with rows and columns exchanged."""
    pattern = t._pattern
    b = pattern.batch_dim
    wanted = [*range(b), b + 1, b, *range(b + 2, t.ndim)]
    if order != wanted:
        raise LayoutError(
            f"permute: a tensor of layout {t.layout} can only exchange its rows and columns; "
            "use .to_sparse_coo()")
    values = values_of(t)
    if pattern.is_blocked:
        values = values.transpose(b + 1, b + 2)
    return from_values(Compressed(
        _TURNED[t.layout], pattern.starts, pattern.others, [t.shape[d] for d in order],
        pattern.blocksize[::-1]), values)


@implements("transpose", "transpose_copy", "swapaxes", "swapdims")
def transpose(self: Any, dim0: int, dim1: int) -> Any:
    """Exchange two dimensions."""
    order = list(range(self.ndim))
    a, b = wrap_dim(dim0, self.ndim), wrap_dim(dim1, self.ndim)
    order[a], order[b] = order[b], order[a]
    return permute(self, order)


@implements("t", "t_copy")
def t(self: Any) -> Any:
    """The transposed matrix."""
    if self.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {self.ndim}D")
    return transpose(self, 0, 1) if self.ndim == 2 else self


@implements("unsqueeze", "unsqueeze_copy")
def unsqueeze(self: Any, dim: int) -> Any:
    """Insert a dimension of size 1."""
    self = to_sparse_coo(self)
    pattern, at = self._pattern, wrap_dim(dim, self.ndim + 1)
    shape = (*self.shape[:at], 1, *self.shape[at:])
    if at > pattern.sparse_dim:
        values = values_of(self).unsqueeze(at - pattern.sparse_dim + 1)
        return from_values(Coordinates(pattern.indices, shape, pattern.is_coalesced), values)
    row = pattern.indices.new_zeros(1, pattern.nnz)
    indices = fb.cat([pattern.indices[:at], row, pattern.indices[at:]])
    return from_values(Coordinates(indices, shape, pattern.is_coalesced), values_of(self))


# ---- parts -------------------------------------------------------------------------------------
@implements("index_select")
def index_select(self: Any, dim: int, index: Any) -> Any:
    """Parts of a dimension by index."""
    pattern, values = coalesced(self)
    d, n = wrap_dim(dim, self.ndim), pattern.sparse_dim
    shape = (*self.shape[:d], index.shape[0], *self.shape[d + 1 :])
    if d >= n:
        return from_values(
            Coordinates(pattern.indices, shape, True),
            fb.index_select(values, d - n + 1, index))
    found = (pattern.indices[d].unsqueeze(0) == index.unsqueeze(1)).nonzero()
    column = found[:, 1]
    indices = fb.index_select(pattern.indices, 1, column)
    indices = fb.cat([indices[:d], found[:, 0].unsqueeze(0), indices[d + 1 :]])
    return from_values(Coordinates(indices, shape), fb.index_select(values, 0, column))


@implements("select", "select_copy")
def select(self: Any, dim: int, index: int) -> Any:
    """Fix one dimension at an index and drop it; dense if no sparse dimension is left."""
    pattern, values = coalesced(self)
    d, n = wrap_dim(dim, self.ndim), pattern.sparse_dim
    size = self.shape[d]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(self.shape)} at "
            f"dimension {d}")
    shape = (*self.shape[:d], *self.shape[d + 1 :])
    if d >= n:
        return from_values(
            Coordinates(pattern.indices, shape, True), values.select(d - n + 1, index % size))
    column = (pattern.indices[d] == index % size).nonzero().reshape(-1)
    values = fb.index_select(values, 0, column)
    if n == 1:
        return values.sum(0)
    indices = fb.index_select(pattern.indices, 1, column)
    return from_values(Coordinates(fb.cat([indices[:d], indices[d + 1 :]]), shape, True), values)


@implements("narrow_copy")
def narrow_copy(self: Any, dim: int, start: int, length: int) -> Any:
    """A run of one dimension."""
    pattern, values = self._pattern, values_of(self)
    if not isinstance(pattern, Coordinates):
        pattern, values = coalesced(self)
    d, n = wrap_dim(dim, self.ndim), pattern.sparse_dim
    if not 0 <= start <= start + length <= self.shape[d]:
        raise RuntimeError(
            f"Invalid range to narrow: start {start}, length {length}, size {self.shape[d]}")
    shape = (*self.shape[:d], length, *self.shape[d + 1 :])
    if d >= n:
        return from_values(
            Coordinates(pattern.indices, shape, pattern.is_coalesced),
            values.narrow(d - n + 1, start, length))
    line = pattern.indices[d]
    column = ((line >= start) & (line < start + length)).nonzero().reshape(-1)
    indices = fb.index_select(pattern.indices, 1, column)
    indices = fb.cat([indices[:d], (indices[d] - start).unsqueeze(0), indices[d + 1 :]])
    return from_values(
        Coordinates(indices, shape, pattern.is_coalesced), fb.index_select(values, 0, column))


def getitem(self: Any, index: Any) -> Any:
    """Indexing by integers, None, full slices and an ellipsis."""
    items = list(index) if isinstance(index, tuple) else [index]
    if any(item is Ellipsis for item in items):
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        missing = self.ndim - sum(i is not Ellipsis and i is not None for i in items)
        items[at : at + 1] = [slice(None)] * missing
    result, d = self, 0
    for item in items:
        if item is None:
            result, d = result.unsqueeze(d), d + 1
        elif isinstance(item, slice) and item == slice(None):
            d += 1
        elif isinstance(item, int) and not isinstance(item, bool):
            result = result.select(d, item)
        else:
            raise LayoutError(
                f"tensors of layout {self.layout} can be indexed by integers, None, : and ..., "
                f"not by {item!r}; use index_select, narrow_copy or .to_dense()")
    return result


@implements("unbind")
def unbind(self: Any, dim: int = 0) -> tuple[Any, ...]:
    """The parts of one dimension."""
    return tuple(select(self, dim, i) for i in range(self.shape[wrap_dim(dim, self.ndim)]))


# ---- joining -----------------------------------------------------------------------------------
@implements("cat")
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Sparse tensors one after the other in a dimension."""
    for i, part in enumerate(tensors):
        if not isinstance(part, SparseTensor):
            raise RuntimeError(
                f"Concatenating sparse tensors, but a dense tensor was found at position {i}.")
    parts = [to_sparse_coo(part) for part in tensors]
    first = parts[0]
    d, n = wrap_dim(dim, first.ndim), first._pattern.sparse_dim
    if any(p.shape[:d] + p.shape[d + 1 :] != first.shape[:d] + first.shape[d + 1 :]
           or p._pattern.sparse_dim != n for p in parts):
        raise RuntimeError("cat: all tensors must have the same sizes except in one dimension")
    indices, values, begin = [], [], 0
    total = sum(p.shape[d] for p in parts)
    for part in parts:
        at, held = part._pattern.indices, values_of(part)
        if d < n:
            at = fb.cat([at[:d], (at[d] + begin).unsqueeze(0), at[d + 1 :]])
        else:
            zeros = [0] * held.ndim * 2
            zeros[2 * (held.ndim - 1 - (d - n + 1))] = begin
            zeros[2 * (held.ndim - 1 - (d - n + 1)) + 1] = total - begin - part.shape[d]
            held = fb.nn.functional.pad(held, zeros)
        begin += part.shape[d]
        indices.append(at)
        values.append(held)
    shape = (*first.shape[:d], total, *first.shape[d + 1 :])
    return from_values(Coordinates(fb.cat(indices, 1), shape), fb.cat(values))


@implements("stack")
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Sparse tensors along a new dimension."""
    d = wrap_dim(dim, tensors[0].ndim + 1)
    return cat([unsqueeze(part, d) for part in tensors], d)


SparseTensor.__getitem__ = getitem  # type: ignore[method-assign]
