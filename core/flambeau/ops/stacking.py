"""Stacking and splitting along the axes that have names: rows, columns, depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.ops.join import cat, chunk, split
from flambeau.ops.memory import clone
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


# ---- at least so many dimensions ---------------------------------------------------------------
def _as_1d(t: Tensor) -> Tensor:
    return t if t.ndim else t.reshape(1)


def _as_2d(t: Tensor) -> Tensor:
    return t if t.ndim > 1 else _as_1d(t).unsqueeze(0)


def _as_3d(t: Tensor) -> Tensor:
    return t if t.ndim > 2 else _as_2d(t).unsqueeze(-1)


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    """Apply to one tensor, to several, or to those of one sequence (then a tuple is returned)."""
    if len(tensors) == 1:
        if isinstance(tensors[0], Tensor):
            return function(tensors[0])
        tensors = tuple(tensors[0])
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element of the arguments, not {type(t).__name__}")
    return tuple(map(function, tensors))


def atleast_1d(*tensors: Any) -> Any:
    """Tensors of no dimension as vectors of one element; the others as they are."""
    return _each(_as_1d, tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Tensors of fewer than two dimensions as one row; the others as they are."""
    return _each(_as_2d, tensors)


def atleast_3d(*tensors: Any) -> Any:
    """Tensors with at least three dimensions: rows get one in front and one behind."""
    return _each(_as_3d, tensors)


# ---- stack -------------------------------------------------------------------------------------
def _stack_samples(make: Make) -> Iterator[Sample]:
    yield sample([make(2, 3), make(2, 3)])
    yield sample([make(3), make(3)])
    yield sample([make(), make()])


def _stack_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "non-empty TensorList", [])
    yield error(RuntimeError, "must match|same number", [make(2, 3, 4), make(3, 2, 2)])


def _checked(name: str, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


@composite("hstack(Tensor[] tensors) -> Tensor", dtypes="all", samples=_stack_samples,
           errors=_stack_errors)
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the second dimension, vectors along the first."""
    parts = [_as_1d(t) for t in _checked("hstack", tensors)]
    result: Tensor = cat(parts, 0 if parts[0].ndim == 1 else 1)
    return result


@composite("vstack(Tensor[] tensors) -> Tensor", dtypes="all", samples=_stack_samples,
           errors=_stack_errors)
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the first dimension, vectors as rows."""
    result: Tensor = cat([_as_2d(t) for t in _checked("vstack", tensors)], 0)
    return result


@composite("dstack(Tensor[] tensors) -> Tensor", dtypes="all", samples=_stack_samples,
           errors=_stack_errors)
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the third dimension, which they get if they have none."""
    result: Tensor = cat([_as_3d(t) for t in _checked("dstack", tensors)], 2)
    return result


def _column_samples(make: Make) -> Iterator[Sample]:
    yield from _stack_samples(make)
    yield sample([make(2), make(2, 3)])


@composite("column_stack(Tensor[] tensors) -> Tensor", dtypes="all", samples=_column_samples,
           errors=_stack_errors)
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the second dimension, vectors as columns."""
    columns = [
        t if t.ndim > 1 else t.reshape(-1, 1) for t in _checked("column_stack", tensors)]
    result: Tensor = hstack(columns)
    return result


# ---- split -------------------------------------------------------------------------------------
def _split_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(7, 4, 2), 3)
    yield sample(make(6, 4, 2), [1, 3])
    yield sample(make(6, 4, 2), [1, -2, 9])
    yield sample(make(3, 6, 2), 2, 1)
    yield sample(make(2, 3), 4)


def _split_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "at least a 1-dimensional", make(), 1)
    yield error(RuntimeError, "larger than 0", make(3), 0)
    yield error(RuntimeError, "dtype of int64", make(3), make(2))


@composite(
    "tensor_split(Tensor self, Any indices_or_sections, int dim=0) -> Tensor[]", dtypes="all",
    out=False, samples=_split_samples, errors=_split_errors,
)
def tensor_split(self: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of a number of parts, nearly equal, or of the parts between indices."""
    if not self.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = wrap_dim(dim, self.ndim)
    size = self.shape[dim]
    at = _sections(indices_or_sections)
    if isinstance(at, int):
        if at <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {at}")
        ends = [(i + 1) * (size // at) + min(i + 1, size % at) for i in range(at)]
        starts = [0, *ends[:-1]]
    else:
        starts, ends = [0, *at], [*at, size]
    return tuple(
        _span(self, dim, start, end) for start, end in zip(starts, ends, strict=True))


def _span(self: Tensor, dim: int, start: int, end: int) -> Tensor:
    start, end, _ = slice(start, end).indices(self.shape[dim])
    part: Tensor = self.narrow(dim, start, max(end - start, 0))
    return part


def _sections(given: Any) -> Any:
    """A number of sections, or a list of indices; either may come as a tensor."""
    if isinstance(given, Tensor):
        if given.dtype is not dtypes.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of int64, but "
                f"got {given.dtype.name}")
        given = given.tolist()
    return [int(i) for i in given] if isinstance(given, (list, tuple)) else int(given)


def _axis_split(name: str, self: Tensor, given: Any, dim: int, need: int) -> tuple[Tensor, ...]:
    if self.ndim < need:
        raise RuntimeError(
            f"{name} requires a tensor with at least {need} dimension, but got a tensor with "
            f"{self.ndim} dimensions!")
    if isinstance(given, (str, float)):
        raise TypeError(
            f"{name}(): argument 'indices_or_sections' must be int or tuple of ints, not "
            f"{type(given).__name__}")
    if isinstance(given, int) and (given <= 0 or self.shape[dim] % given):
        raise RuntimeError(
            f"{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{self.shape[dim]} is not divisible by the split_size {given}!")
    parts: tuple[Tensor, ...] = tensor_split(self, given, dim)
    return parts


def _axis_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "requires a tensor with at least", make(), 1)
    yield error(RuntimeError, "not divisible", make(3, 3, 3), 2)


def _axis_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(4, 4, 4), 2)
    yield sample(make(4, 4, 4), [1, 3])


@composite("hsplit(Tensor self, Any indices_or_sections) -> Tensor[]", dtypes="all", out=False,
           samples=_axis_samples, errors=_axis_errors)
def hsplit(self: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Views of parts along the second dimension, of vectors along the first."""
    return _axis_split("hsplit", self, indices_or_sections, 0 if self.ndim == 1 else 1, 1)


@composite("vsplit(Tensor self, Any indices_or_sections) -> Tensor[]", dtypes="all", out=False,
           samples=_axis_samples, errors=_axis_errors)
def vsplit(self: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Views of parts along the first dimension."""
    return _axis_split("vsplit", self, indices_or_sections, 0, 2)


@composite("dsplit(Tensor self, Any indices_or_sections) -> Tensor[]", dtypes="all", out=False,
           samples=_axis_samples, errors=_axis_errors)
def dsplit(self: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Views of parts along the third dimension."""
    return _axis_split("dsplit", self, indices_or_sections, 2, 3)


def split_with_sizes(
    input: Tensor, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Views of consecutive parts of the sizes given."""
    parts: tuple[Tensor, ...] = split(input, list(split_sizes), dim)
    return parts


def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """``split``; in PyTorch its parts are not treated as views, here they are."""
    parts: tuple[Tensor, ...] = split(input, split_size, dim)
    return parts


def unsafe_split_with_sizes(
    input: Tensor, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """``split_with_sizes``; in PyTorch its parts are not treated as views, here they are."""
    return split_with_sizes(input, split_sizes, dim)


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """``chunk``; in PyTorch its parts are not treated as views, here they are."""
    parts: tuple[Tensor, ...] = chunk(input, chunks, dim)
    return parts


def split_with_sizes_copy(
    input: Tensor, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Copies of consecutive parts of the sizes given."""
    return tuple(map(clone, split_with_sizes(input, split_sizes, dim)))


for _method in (split_with_sizes, unsafe_chunk, unsafe_split, unsafe_split_with_sizes):
    setattr(Tensor, _method.__name__, _method)
