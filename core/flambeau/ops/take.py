"""Elements by their position in the whole tensor, and by indices that broadcast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import broadcast_shapes, wrap_dim
from flambeau.modes import every_sample
from flambeau.ops.compare import where
from flambeau.ops.index import each_once, gather, scatter_add, scatter_elements, zeros_of
from flambeau.ops.shape import expand, reshape
from flambeau.ops.writing import writes_through
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _positions(name: str, self: Tensor, index: Tensor) -> Tensor:
    """An index into the flattened tensor, negative ones counted from the end.

    Raises:
        RuntimeError: for an index that is not of int64.
        IndexError: for one that is out of range.
    """
    if index.dtype is not dtypes.int64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {index.dtype.name}")
    n = self.numel()
    seen = every_sample(index)
    if seen.numel():
        for bad in (int(seen.amin()), int(seen.amax())):
            if not -n <= bad < n:
                raise IndexError(
                    f"{name}(): out of range: tried to access index {bad} on a tensor of {n} "
                    "elements.")
    result: Tensor = where(index < 0, index + n, index)
    return result


def _take_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make.index(12, 2, 3))
    yield sample(make(4, 3).t(), make.index(12, 5) - 12)
    yield sample(make(3, 4), make.index(12))
    yield sample(make(), make.index(1, 2))
    yield sample(make(3), make.index(3, 0))


@composite(
    "take(Tensor self, Tensor index) -> Tensor", dtypes="all", samples=_take_samples,
    derivatives={"self": lambda g, self_shape, index: put(
        zeros_of(g, self_shape), index, g, True)},
    errors=lambda make: iter([
        error(IndexError, "out of range", make(3), make.index(1, 1) + 3),
        error(RuntimeError, "long tensor", make(3), make(2))]),
)
def take(self: Tensor, index: Tensor) -> Tensor:
    """Elements by their position in the flattened tensor, in the shape of the index."""
    places = _positions("take", self, index)
    picked = gather(reshape(self, (-1,)), 0, reshape(places, (-1,)))
    result: Tensor = reshape(picked, index.shape)
    return result


def _put_samples(make: Make) -> Iterator[Sample]:
    order = each_once(make, 12)
    yield sample(make(3, 4), order[:6].reshape(2, 3), make(2, 3))
    yield sample(make(4, 3).t(), order[:5] - 12, make(5))
    yield sample(make(3), make.index(3, 0), make(0))


def _put_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "out of range", make(3), make.index(1, 1) + 3, make(1))
    yield error(IndexError, "same number of elements", make(3), make.index(3, 2), make(1))
    yield error(RuntimeError, "same dtype", make(3), make.index(3, 2), make.index(3, 2))


@writes_through
@composite(
    "put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor",
    dtypes="numeric", inplace=True, samples=_put_samples, errors=_put_errors, out=False,
    derivatives={
        "self": lambda g, index, accumulate: g if accumulate else put(
            g, index, zeros_of(g, index.shape)),
        "source": lambda g, source_shape, index: take(g, index).reshape(tuple(source_shape)),
    },
)
def put(self: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with elements written, or added, at positions in the flattened tensor."""
    if source.dtype is not self.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{self.dtype.name} and source.dtype = {source.dtype.name}")
    if source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.numel()}, index.numel() = {index.numel()}")
    places = reshape(_positions("put_", self, index), (-1,))
    write = scatter_add if accumulate else scatter_elements
    written = write(reshape(self, (-1,)), 0, places, reshape(source, (-1,)))
    result: Tensor = reshape(written, self.shape)
    return result


@composite(
    "take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor", dtypes="all",
    samples=lambda make: iter([
        sample(make(3, 4), make.index(4, 3, 1), 1), sample(make(1, 4), make.index(4, 3, 2), -1),
        sample(make(3, 4), make.index(12, 5))]),
    errors=lambda make: iter([
        error(RuntimeError, "same number of dimensions", make(3, 4), make.index(3, 2), 0),
        error(RuntimeError, "int64", make(3, 4), make(3, 4), 0)]),
)
def take_along_dim(self: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Elements at indices of one dimension, the other dimensions broadcast; of all if None."""
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(
            f"take_along_dim(): dtype of indices should be int64 but got {indices.dtype.name}")
    if dim is None:
        return gather(reshape(self, (-1,)), 0, reshape(indices, (-1,)))  # type: ignore[no-any-return]
    if self.ndim != indices.ndim:
        raise RuntimeError(
            "take_along_dim(): input and indices should have the same number of dimensions, but "
            f"got {self.ndim} dimensions for input, and {indices.ndim} dimensions for indices")
    dim = wrap_dim(dim, self.ndim)
    common: list[Any] = list(broadcast_shapes(
        [1 if d == dim else n for d, n in enumerate(self.shape)],
        [1 if d == dim else n for d, n in enumerate(indices.shape)]))
    at, whole = list(common), list(common)
    at[dim], whole[dim] = indices.shape[dim], self.shape[dim]
    places = where(indices < 0, indices + self.shape[dim], indices)
    result: Tensor = gather(expand(self, whole), dim, expand(places, at))
    return result
