"""Diagonals and triangles of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.ops.compare import where
from flambeau.ops.create import arange, creation_kind
from flambeau.ops.shape import diagonal, reshape
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


# ---- diagonals ---------------------------------------------------------------------------------
def _embed_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3))
    yield sample(make(2, 3), 1)
    yield sample(make(2, 3), -2, 0, 2)
    yield sample(make(3, 2).t(), 0, 1, 0)
    yield sample(make(0))


@composite(
    "diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", dtypes="all",
    out=False, samples=_embed_samples,
    derivatives={"self": lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2)},
    errors=lambda make: iter([
        error(RuntimeError, "cannot be identical", make(3), 0, 0, 0),
        error(IndexError, "out of range", make(3), 0, 2, 0)]),
)
def diag_embed(self: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension on a diagonal, zeros elsewhere.

    Args:
        dim1, dim2: the dimensions of the result that the matrices span.
    """
    a, b = wrap_dim(dim1, self.ndim + 1), wrap_dim(dim2, self.ndim + 1)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    side = self.shape[-1] + abs(offset)
    shape = list(self.shape[:-1])
    for d in sorted((a, b)):
        shape.insert(d, side)
    result: Tensor = self.new_zeros(shape)
    diagonal(result, offset, a, b).copy_(self)
    return result


@composite(
    "diag(Tensor self, int diagonal=0) -> Tensor", dtypes="all",
    samples=lambda make: iter([
        sample(make(3)), sample(make(3), -1), sample(make(3, 4)), sample(make(3, 4), 1),
        sample(make(3, 4), 9)]),
    errors=lambda make: iter([error(RuntimeError, "1D or 2D", make(2, 2, 2))]),
)
def diag(self: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or a matrix with a vector on its diagonal."""
    from flambeau.ops.shape import diagonal as diagonal_of

    if self.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {self.ndim}D")
    if self.ndim == 1:
        return diag_embed(self, diagonal)  # type: ignore[no-any-return]
    result: Tensor = diagonal_of(self, diagonal, 0, 1).clone()
    return result


@composite(
    "diagflat(Tensor self, int offset=0) -> Tensor", dtypes="all", out=False,
    samples=lambda make: iter([sample(make(3)), sample(make(2, 2), 1), sample(make())]),
    errors=lambda make: iter([error(TypeError, "must be Tensor", 1.0)]),
)
def diagflat(self: Tensor, offset: int = 0) -> Tensor:
    """A matrix with the flattened tensor on its diagonal."""
    result: Tensor = diag_embed(reshape(self, (-1,)), offset)
    return result


@composite(
    "trace(Tensor self) -> Tensor", dtypes="numeric", out=False,
    samples=lambda make: iter([sample(make(3, 4)), sample(make(0, 3))]),
    errors=lambda make: iter([error(RuntimeError, "expected a matrix", make(3))]),
)
def trace(self: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if self.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {self.ndim}")
    total: Tensor = diagonal(self).sum()
    return total


# ---- triangles ---------------------------------------------------------------------------------
def _triangle_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4))
    yield sample(make(4, 3), 1)
    yield sample(make(2, 3, 3), -1)
    yield sample(make(4, 3).t())
    yield sample(make(0, 3))


def _triangle_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "at least 2 dimensions", make(3))


def _distances(self: Tensor, name: str) -> Tensor:
    """For each element of the last two dimensions, its column less its row."""
    if self.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    rows = arange(self.shape[-2], device=self.device)
    columns = arange(self.shape[-1], device=self.device)
    difference: Tensor = columns - rows.unsqueeze(1)
    return difference


@composite(
    "tril(Tensor self, int diagonal=0) -> Tensor", dtypes="all", inplace=True,
    derivatives={"self": lambda g, diagonal: tril(g, diagonal)},
    samples=_triangle_samples, errors=_triangle_errors,
)
def tril(self: Tensor, diagonal: int = 0) -> Tensor:
    """A copy with zeros above a diagonal of the last two dimensions."""
    zero = False if self.dtype is dtypes.bool else 0
    result: Tensor = where(_distances(self, "tril") <= diagonal, self, zero)
    return result


@composite(
    "triu(Tensor self, int diagonal=0) -> Tensor", dtypes="all", inplace=True,
    derivatives={"self": lambda g, diagonal: triu(g, diagonal)},
    samples=_triangle_samples, errors=_triangle_errors,
)
def triu(self: Tensor, diagonal: int = 0) -> Tensor:
    """A copy with zeros below a diagonal of the last two dimensions."""
    zero = False if self.dtype is dtypes.bool else 0
    result: Tensor = where(_distances(self, "triu") >= diagonal, self, zero)
    return result


def _indices(
    name: str, row: int, col: int, offset: int, dtype: Any, device: Any, layout: Any
) -> Tensor:
    import numpy as np

    from flambeau.construct import from_numpy

    for word, n in (("row", row), ("col", col)):
        if n < 0:
            raise RuntimeError(f"{name}(): {word} must be non-negative, got {n}")
    kind = creation_kind(dtypes.int64 if dtype is None else dtype, device)
    if kind.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"\"{name}\" not implemented for '{kind.dtype.name}'")
    found = (np.tril_indices if name == "tril_indices" else np.triu_indices)(row, offset, col)
    made = from_numpy(np.stack(found).astype(kind.dtype.numpy))
    return made.to(kind.device)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: dtypes.dtype | None = None, device: Any = None,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:
    """Rows and columns, as (2, count), of the lower triangle of a ``row`` by ``col`` matrix."""
    return _indices("tril_indices", row, col, offset, dtype, device, layout)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: dtypes.dtype | None = None, device: Any = None,
    layout: Any = None, pin_memory: bool = False,
) -> Tensor:
    """Rows and columns, as (2, count), of the upper triangle of a ``row`` by ``col`` matrix."""
    return _indices("triu_indices", row, col, offset, dtype, device, layout)


# ---- parts replaced ----------------------------------------------------------------------------
def _check_part(part: Tensor, src: Tensor) -> None:
    if part.shape != src.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(part.shape)}")


def _replaced(self: Tensor, part_of: Any, src: Tensor) -> Tensor:
    """A copy in which the part that a view function finds is replaced."""
    result: Tensor = self.clone()
    part = part_of(result)
    _check_part(part, src)
    part.copy_(src)
    return result


def _scatter_errors(*args: Any) -> Any:
    def errors(make: Make) -> Iterator[ErrorSample]:
        yield error(RuntimeError, "size equal to the slice", make(3, 4), make(9), *args)

    return errors


@composite(
    "select_scatter(Tensor self, Tensor src, int dim, int index) -> Tensor", dtypes="all",
    out=False,
    derivatives={
        "self": lambda g, src_shape, dim, index: select_scatter(
            g, g.new_zeros(src_shape), dim, index),
        "src": lambda g, dim, index: g.select(dim, index),
    },
    samples=lambda make: iter([
        sample(make(3, 4), make(4), 0, 1), sample(make(4, 3).t(), make(3), -1, -2)]),
    errors=_scatter_errors(0, 1),
)
def select_scatter(self: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy in which one index of a dimension is replaced by ``src``."""
    return _replaced(self, lambda t: t.select(dim, index), src)


def _sliced(t: Tensor, dim: int, start: Any, end: Any, step: int) -> Tensor:
    from flambeau.ops.shape import slice_dim

    result: Tensor = slice_dim(t, dim, start, end, step)
    return result


@composite(
    "slice_scatter(Tensor self, Tensor src, int dim=0, int? start=None, int? end=None, "
    "int step=1) -> Tensor",
    dtypes="all", out=False,
    derivatives={
        "self": lambda g, src_shape, dim, start, end, step: slice_scatter(
            g, g.new_zeros(src_shape), dim, start, end, step),
        "src": lambda g, dim, start, end, step: _sliced(g, dim, start, end, step),
    },
    samples=lambda make: iter([
        sample(make(3, 4), make(2, 4), 0, 1), sample(make(3, 4), make(3, 2), 1, 0, 4, 2)]),
    errors=_scatter_errors(0, 1),
)
def slice_scatter(
    self: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy in which ``start:end:step`` of a dimension is replaced by ``src``."""
    return _replaced(self, lambda t: _sliced(t, dim, start, end, step), src)


@composite(
    "diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor",
    dtypes="all", out=False,
    derivatives={
        "self": lambda g, src_shape, offset, dim1, dim2: diagonal_scatter(
            g, g.new_zeros(src_shape), offset, dim1, dim2),
        "src": lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2),
    },
    samples=lambda make: iter([
        sample(make(3, 4), make(3)), sample(make(2, 3, 4), make(3, 1), -1, 0, 2)]),
    errors=_scatter_errors(),
)
def diagonal_scatter(
    self: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy in which a diagonal is replaced by ``src``."""
    return _replaced(self, lambda t: diagonal(t, offset, dim1, dim2), src)
