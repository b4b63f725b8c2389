"""Between layouts: dense to sparse, coordinates to compressed lines, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.layout import product
from flambeau.ops.facts import sparse_bsc, sparse_bsr, sparse_coo, sparse_csc, sparse_csr
from flambeau.sparse.pattern import (
    BLOCKED,
    BY_ROWS,
    COMPRESSED,
    Compressed,
    Coordinates,
    starts_of,
)
from flambeau.sparse.tensor import SparseTensor, from_values, values_of
from flambeau.sparse.tensor import to_dense as dense_of
from flambeau.tensor import Tensor


def coalesced(t: Any) -> tuple[Coordinates, Tensor]:
    """Coordinates in order, each once, and the values there; blocks are taken apart."""
    pattern, values = t._pattern, values_of(t)
    if isinstance(pattern, Compressed):
        if pattern.is_blocked:
            t = to_sparse_coo(dense_of(t), pattern.batch_dim + 2)
            return t._pattern, values_of(t)
        return _sorted(pattern.coordinates, pattern.flat(values))
    found: tuple[Coordinates, Tensor] = pattern.coalesce(values)
    return found


def _sorted(pattern: Coordinates, values: Tensor) -> tuple[Coordinates, Tensor]:
    if pattern.is_coalesced:
        return pattern, values
    order = fb.argsort(pattern.keys)
    return (
        Coordinates(fb.index_select(pattern.indices, 1, order), pattern.shape, True),
        fb.index_select(values, 0, order))


def to_dense(
    self: Any, dtype: Any = None, *, masked_grad: bool | None = None
) -> Tensor:
    """The strided tensor of the same elements."""
    if isinstance(self, SparseTensor) and dtype is not None:
        raise RuntimeError("dtype argument is not supported by sparse_to_dense")
    result = dense_of(self)
    return result if dtype is None else result.to(dtype)


def to_sparse_coo(self: Any, sparse_dim: int | None = None) -> Any:
    """The tensor with its nonzero places as coordinates.

    Args:
        sparse_dim: how many leading dimensions have coordinates; all if None.
    """
    if isinstance(self, SparseTensor):
        if self.layout is sparse_coo:
            if sparse_dim is not None and sparse_dim != self._pattern.sparse_dim:
                raise RuntimeError(
                    "to_sparse: conversion from Sparse to Sparse with another sparse_dim is not "
                    "supported")
            return self
        return from_values(*coalesced(self))
    n = self.ndim if sparse_dim is None else sparse_dim
    if not 0 <= n <= self.ndim or (self.ndim and not n):
        raise RuntimeError(
            f"sparse_dim {n} must be in (0, {self.ndim}]: the number of leading dimensions that "
            "have coordinates")
    flat = self.detach().reshape(*self.shape[:n], -1)
    at = (flat != 0).any(-1).nonzero().t().contiguous()
    pattern = Coordinates(at, self.shape, True)
    return from_values(pattern, pattern.take(self))


def to_sparse(
    self: Any, sparse_dim: int | None = None, *, layout: Any = None, blocksize: Any = None,
    dense_dim: int | None = None,
) -> Any:
    """The tensor in a sparse layout, ``sparse_coo`` if none is named.

    Args:
        blocksize: of block layouts.
        dense_dim: how many trailing dimensions the values have, of compressed layouts.
    """
    if layout is None or layout is sparse_coo:
        if blocksize is not None:
            raise RuntimeError(
                "to_sparse: conversion to Sparse with blocksize argument given is not supported")
        if sparse_dim is None and dense_dim:
            sparse_dim = self.ndim - dense_dim
        return to_sparse_coo(self, sparse_dim)
    if layout not in COMPRESSED:
        raise RuntimeError(f"to_sparse: conversion to {layout} is not supported")
    if layout in BLOCKED and blocksize is None:
        raise RuntimeError(f"to_sparse: conversion to {layout} requires a blocksize")
    return _compressed(self, layout, blocksize, dense_dim)


def to_sparse_csr(self: Any, dense_dim: int | None = None) -> Any:
    """The tensor with compressed rows."""
    return _compressed(self, sparse_csr, None, dense_dim)


def to_sparse_csc(self: Any, dense_dim: int | None = None) -> Any:
    """The tensor with compressed columns."""
    return _compressed(self, sparse_csc, None, dense_dim)


def to_sparse_bsr(self: Any, blocksize: Sequence[int], dense_dim: int | None = None) -> Any:
    """The tensor with compressed rows of blocks."""
    return _compressed(self, sparse_bsr, blocksize, dense_dim)


def to_sparse_bsc(self: Any, blocksize: Sequence[int], dense_dim: int | None = None) -> Any:
    """The tensor with compressed columns of blocks."""
    return _compressed(self, sparse_bsc, blocksize, dense_dim)


def _compressed(t: Any, layout: Any, blocksize: Any, dense_dim: int | None) -> Any:
    if isinstance(t, SparseTensor):
        if t.layout is layout and (
            blocksize is None or tuple(blocksize) == t._pattern.blocksize  # type: ignore[union-attr]
        ):
            return t
        if layout in (sparse_csr, sparse_csc) and t.layout not in BLOCKED:
            pattern, values = coalesced(t)
            if pattern.sparse_dim != 2:
                raise RuntimeError(
                    f"conversion to {layout} needs 2 sparse dimensions, got {pattern.sparse_dim}")
            return _pack(layout, pattern, values, t.shape, (1, 1), 0)
        dense_dim = t._pattern.dense_dim if dense_dim is None else dense_dim
        return _compressed(dense_of(t), layout, blocksize, dense_dim)
    return _from_dense(t, layout, blocksize, dense_dim or 0)


def _from_dense(t: Tensor, layout: Any, blocksize: Any, dense_dim: int) -> Any:
    batch = t.ndim - 2 - dense_dim
    if batch < 0:
        raise RuntimeError(
            f"to_sparse: a tensor of {t.ndim} dimensions cannot be converted to {layout} with "
            f"{dense_dim} dense dimensions")
    block = (1, 1) if blocksize is None else tuple(blocksize)
    if len(block) != 2 or min(block) < 1:
        raise RuntimeError(f"blocksize must be two positive numbers, got {list(block)}")
    rows, cols = t.shape[batch], t.shape[batch + 1]
    if rows % block[0] or cols % block[1]:
        raise RuntimeError(
            f"tensor sparse size ({rows}, {cols}) must be divisible by the blocksize {block}")
    # The lines alone tell `in_blocks` what a block is.
    nothing = fb.zeros((1,) * batch + (1,), dtype=fb.int64, device=t.device)
    shaped = Compressed(layout, nothing, nothing, t.shape, block)
    parts = shaped.in_blocks(t)
    used = (parts.detach() != 0).reshape(*parts.shape[: batch + 2], -1).any(-1)
    at = Coordinates(used.nonzero().t().contiguous(), parts.shape, True)
    return _pack(layout, at, at.take(parts), t.shape, block, batch)


def _pack(
    layout: Any, at: Coordinates, values: Tensor, shape: Sequence[int], block: Sequence[int],
    batch: int,
) -> Any:
    """Coordinates of blocks as compressed lines; every batch must have equally many."""
    sizes = tuple(at.shape)[: batch + 2]
    if layout not in BY_ROWS:
        swapped = fb.cat(
            [at.indices[:batch], at.indices[batch + 1 :], at.indices[batch : batch + 1]])
        turned = Coordinates(swapped, (*sizes[:batch], sizes[-1], sizes[-2]))
        order = fb.argsort(turned.keys)
        at = Coordinates(fb.index_select(swapped, 1, order), turned.shape, True)
        values = fb.index_select(values, 0, order)
        sizes = tuple(at.shape)
    count, lines = product(sizes[:batch]), sizes[batch]
    line = at.indices[batch]
    if not batch:
        starts, others, held = starts_of(line, lines), at.indices[-1], values
    else:
        each = at.nnz // max(count, 1)
        numbers = at.keys // max(product(sizes[batch:]), 1)
        if bool((fb.bincount(numbers, minlength=count) != each).any()):
            raise RuntimeError(
                "Expect the same number of specified elements per batch when converting to "
                f"{layout}.")
        starts = fb.stack([starts_of(part, lines) for part in line.reshape(count, each)])
        starts = starts.reshape(*sizes[:batch], lines + 1)
        others = at.indices[-1].reshape(*sizes[:batch], each)
        held = values.reshape(*sizes[:batch], each, *values.shape[1:])
    return from_values(Compressed(layout, starts, others, shape, block), held)
