"""Methods of tensors that only sparse ones answer, and those that make them sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.sparse.convert import (
    to_dense,
    to_sparse,
    to_sparse_bsc,
    to_sparse_bsr,
    to_sparse_coo,
    to_sparse_csc,
    to_sparse_csr,
)
from flambeau.sparse.pattern import Compressed, Coordinates
from flambeau.sparse.products import smm, sspaddmm
from flambeau.sparse.tensor import SparseTensor, from_values, make, take, take_over, values_of
from flambeau.tensor import Tensor

__all__ = [
    "_dimI", "_dimV", "_indices", "_nnz", "_values", "ccol_indices", "coalesce", "col_indices",
    "crow_indices", "dense_dim", "indices", "is_coalesced", "resize_as_sparse_", "row_indices",
    "smm", "sparse_dim", "sparse_mask", "sparse_resize_", "sparse_resize_and_clear_", "sspaddmm",
    "to_dense", "to_sparse", "to_sparse_bsc", "to_sparse_bsr", "to_sparse_coo", "to_sparse_csc",
    "to_sparse_csr", "values",
]


def _coordinates(name: str, t: Any) -> Coordinates:
    if not isinstance(t, SparseTensor) or not isinstance(t._pattern, Coordinates):
        raise RuntimeError(
            f"{name} expected sparse coordinate tensor layout but got {t.layout}")
    return t._pattern


def _lines(name: str, t: Any, by_rows: bool) -> Compressed:
    pattern = t._pattern if isinstance(t, SparseTensor) else None
    if not isinstance(pattern, Compressed) or pattern.is_by_rows is not by_rows:
        raise RuntimeError(
            f"{name} expected sparse {'row' if by_rows else 'column'} compressed tensor layout "
            f"but got {t.layout}")
    return pattern


# ---- parts -------------------------------------------------------------------------------------
def indices(self: Any) -> Tensor:
    """The coordinates (sparse dimensions, nnz) of a coalesced tensor."""
    pattern = _coordinates("indices", self)
    if not pattern.is_coalesced:
        raise RuntimeError(
            "Cannot get indices on an uncoalesced tensor, please call .coalesce() first")
    return pattern.indices.detach()


def values(self: Any) -> Tensor:
    """The stored values; of a coalesced tensor, if its layout is ``sparse_coo``."""
    if not isinstance(self, SparseTensor):
        raise RuntimeError(
            f"values expected sparse tensor layout but got {self.layout}")
    if not self._pattern.is_coalesced:
        raise RuntimeError(
            "Cannot get values on an uncoalesced tensor, please call .coalesce() first")
    result = values_of(self)
    return result if result.requires_grad else result.detach()


def _indices(self: Any) -> Tensor:
    """The coordinates as they are stored."""
    return _coordinates("_indices", self).indices.detach()


def _values(self: Any) -> Tensor:
    """The values as they are stored, without history."""
    _coordinates("_values", self)
    held: Tensor = self._held
    return held.detach()


def crow_indices(self: Any) -> Tensor:
    """Where each row begins among the values."""
    return _lines("crow_indices", self, True).starts.detach()


def col_indices(self: Any) -> Tensor:
    """The column of each value."""
    return _lines("col_indices", self, True).others.detach()


def ccol_indices(self: Any) -> Tensor:
    """Where each column begins among the values."""
    return _lines("ccol_indices", self, False).starts.detach()


def row_indices(self: Any) -> Tensor:
    """The row of each value."""
    return _lines("row_indices", self, False).others.detach()


def _nnz(self: Any) -> int:
    """The number of stored values, of each matrix of a batch."""
    if not isinstance(self, SparseTensor):
        raise fb.errors.LayoutError(f"_nnz: tensors of layout {self.layout} do not have it")
    return self._pattern.nnz


def sparse_dim(self: Any) -> int:
    """The number of dimensions that have coordinates; 0 for a strided tensor."""
    return self._pattern.sparse_dim if isinstance(self, SparseTensor) else 0


def dense_dim(self: Any) -> int:
    """The number of dimensions of each value; all of a strided tensor."""
    return self._pattern.dense_dim if isinstance(self, SparseTensor) else self.ndim


_dimI, _dimV = sparse_dim, dense_dim  # noqa: N816


# ---- coalescing and masks ----------------------------------------------------------------------
def is_coalesced(self: Any) -> bool:
    """Whether no place is named twice and the places are in order."""
    return _coordinates("is_coalesced", self).is_coalesced


def coalesce(self: Any) -> Any:
    """The tensor with every place once, in order; itself if it is so."""
    pattern = _coordinates("coalesce", self)
    if pattern.is_coalesced:
        return self
    return from_values(*pattern.coalesce(values_of(self)))


def _coalesced_(self: Any, coalesced: bool) -> Any:
    """Declare in place whether no place is named twice."""
    pattern = _coordinates("_coalesced_", self)
    self._pattern = Coordinates(pattern.indices, pattern.shape, coalesced)
    return self


def sparse_mask(self: Any, mask: Any) -> Any:
    """The elements at the places of a sparse tensor of the same shape."""
    if not isinstance(mask, SparseTensor):
        raise RuntimeError(f"sparse_mask: the mask must be sparse, but its layout is {mask.layout}")
    if self.shape != mask.shape:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(self.shape)} "
            f"but mask has size {list(mask.shape)}")
    return from_values(mask._pattern, take(mask._pattern, self))


# ---- sizes in place ----------------------------------------------------------------------------
def sparse_resize_(self: Any, size: Sequence[int], sparse_dim: int, dense_dim: int) -> Any:
    """Change the shape in place; stored values keep their coordinates.

    Raises:
        RuntimeError: if a tensor that stores values would shrink or change its sparse dimensions.
    """
    pattern, shape = _coordinates("sparse_resize_", self), tuple(size)
    if len(shape) != sparse_dim + dense_dim:
        raise RuntimeError(
            "'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = "
            f"{len(shape)}, sparse_dim = {sparse_dim}, dense_dim = {dense_dim}")
    held = self._held
    at = pattern.indices
    if pattern.nnz:
        if (sparse_dim, dense_dim) != (pattern.sparse_dim, pattern.dense_dim):
            raise RuntimeError(
                "changing the number of sparse or dense dimensions on a non-empty sparse tensor is "
                "not supported")
        if any(new < old for new, old in zip(shape, pattern.shape, strict=True)):
            raise RuntimeError(
                "shrinking the size of sparse or dense dimensions on a non-empty sparse tensor is "
                "not supported")
        grown = []
        for new, old in zip(shape[:sparse_dim - 1:-1], self.shape[:sparse_dim - 1:-1], strict=True):
            grown += [0, new - old]
        held = fb.nn.functional.pad(held, grown) if any(grown) else held
    else:
        at = at.new_zeros(sparse_dim, 0)
        held = held.new_zeros((0, *shape[sparse_dim:]))
    take_over(self, make(Coordinates(at, shape, pattern.is_coalesced), held))
    return self


def sparse_resize_and_clear_(
    self: Any, size: Sequence[int], sparse_dim: int, dense_dim: int
) -> Any:
    """Change the shape in place and forget all values."""
    _coordinates("sparse_resize_and_clear_", self)
    self.zero_()
    return sparse_resize_(self, size, sparse_dim, dense_dim)


def resize_as_sparse_(self: Any, the_template: Any) -> Any:
    """Take the shape and the kinds of dimensions of another sparse tensor, in place."""
    other = _coordinates("resize_as_sparse_", the_template)
    return sparse_resize_(self, other.shape, other.sparse_dim, other.dense_dim)


# ---- copies ------------------------------------------------------------------------------------
def indices_copy(input: Any) -> Tensor:
    """The coordinates, as a copy."""
    return indices(input).clone()


def values_copy(input: Any) -> Tensor:
    """The stored values, as a copy."""
    return values(input).clone()


def crow_indices_copy(input: Any) -> Tensor:
    """Where each row begins among the values, as a copy."""
    return crow_indices(input).clone()


def col_indices_copy(input: Any) -> Tensor:
    """The column of each value, as a copy."""
    return col_indices(input).clone()


def ccol_indices_copy(input: Any) -> Tensor:
    """Where each column begins among the values, as a copy."""
    return ccol_indices(input).clone()


def row_indices_copy(input: Any) -> Tensor:
    """The row of each value, as a copy."""
    return row_indices(input).clone()


