"""Whole slices at the indices of one dimension: index_select, index_add and their like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes
from flambeau.layout import product, wrap_dim
from flambeau.modes import every_sample
from flambeau.ops.compare import where
from flambeau.ops.index import each_once, gather, scatter_add, scatter_elements, zeros_of
from flambeau.ops.shape import reshape
from flambeau.ops.writing import writes_through
from flambeau.promotion import number
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _checked(name: str, self: Tensor, dim: int, index: Tensor) -> tuple[int, Tensor]:
    """The dimension counted from the front and the index as an int64 vector.

    Raises:
        IndexError: for an index of several dimensions.
        RuntimeError: for one that is no integer.
    """
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    if index.dtype is not dtypes.int64 and index.dtype is not dtypes.int32:
        raise RuntimeError(
            f"{name}(): Expected dtype int32 or int64 for index, got {index.dtype.name}. "
            "Convert it with .long().")
    return wrap_dim(dim, self.ndim), index.reshape(-1).long()


def _at(index: Tensor, dim: int, shape: Sequence[int]) -> Tensor:
    """An index of one dimension, repeated over all others of a shape."""
    ones = [1] * len(shape)
    ones[dim] = index.numel()
    wide = list(shape)
    wide[dim] = index.numel()
    result: Tensor = index.reshape(ones).expand(wide)
    return result


def _at_least_1d(t: Tensor) -> Tensor:
    return t if t.ndim else reshape(t, (1,))


def _check_bounds(index: Tensor, size: int) -> None:
    """What gather and scatter cannot see because the other dimensions are empty.

    Raises:
        IndexError: for an index out of range.
    """
    seen = every_sample(index)
    if seen.numel() and (int(seen.amin()) < 0 or int(seen.amax()) >= size):
        raise IndexError(f"index out of range in self (of size {size})")


# ---- reading -----------------------------------------------------------------------------------
def _select_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), 0, make.index(3, 5)), name="rows")
    yield Sample((make(3, 4), -1, make.index(4, 2)), name="columns")
    yield Sample((make(4, 3).t(), 0, make.index(3, 2)), name="transposed")
    yield Sample((make(3, 4), 0, make.index(3)), name="0d_index")
    yield Sample((make(), 0, make.index(1, 1)), name="0d")
    yield Sample((make(3, 0), 0, make.index(3, 2)), name="empty")
    yield Sample((make(3, 4), 1, make.index(4, 0)), name="nothing")


def _select_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "out of range", make(3, 4), 0, make.index(1, 2) + 3)
    yield error(IndexError, "out of range", make(3, 4), 0, make.index(1, 2) - 1)
    yield error(IndexError, "vector", make(3, 4), 0, make.index(3, 2, 2))
    yield error(RuntimeError, "int64", make(3, 4), 0, make(2))
    yield error(IndexError, "Dimension out of range", make(3, 4), 2, make.index(3, 2))


@composite(
    "index_select(Tensor self, int dim, Tensor index) -> Tensor", dtypes="all",
    derivatives={"self": lambda g, self_shape, dim, index: index_add(
        zeros_of(g, self_shape), dim, index, g)},
    samples=_select_samples, errors=_select_errors,
)
def index_select(self: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dimension that a vector of indices names."""
    dim, index = _checked("index_select", self, dim, index)
    whole = _at_least_1d(self)
    if product(whole.shape) == 0:
        _check_bounds(index, whole.shape[dim])
    try:
        taken: Tensor = gather(whole, dim, _at(index, dim, whole.shape))
    except (IndexError, RuntimeError):
        _check_bounds(index, whole.shape[dim])
        raise
    return taken if self.ndim else reshape(taken, ())


# ---- writing -----------------------------------------------------------------------------------
def _check_source(name: str, self: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    """Refuse a source that does not hold a slice per index.

    Raises:
        RuntimeError: for another dtype or other sizes.
    """
    if source.dtype is not self.dtype:
        raise RuntimeError(
            f"{name}(): self ({self.dtype.name}) and source ({source.dtype.name}) must have the "
            "same scalar type")
    held = source.shape[dim] if source.ndim else 1
    if held != index.numel():
        raise RuntimeError(
            f"{name}(): Number of indices ({index.numel()}) should be equal to source.size(dim): "
            f"({held}), for dim: {dim}")
    if max(source.ndim, 1) != max(self.ndim, 1) or any(
        d != dim and n != self.shape[d] for d, n in enumerate(source.shape) if self.ndim
    ):
        raise RuntimeError(
            f"{name}(): source of shape {list(source.shape)} does not fit self of shape "
            f"{list(self.shape)} in the dimensions other than {dim}")


def _prepared(
    name: str, self: Tensor, dim: int, index: Tensor, source: Tensor
) -> tuple[Tensor, int, Tensor, Tensor]:
    """Self and source with a dimension at least, the dimension, the index for each element."""
    dim, index = _checked(name, self, dim, index)
    _check_source(name, self, dim, index, source)
    target, source = _at_least_1d(self), _at_least_1d(source)
    if not product(source.shape):
        _check_bounds(index, target.shape[dim])
    return target, dim, _at(index, dim, source.shape), source


def _shaped(result: Tensor, self: Tensor) -> Tensor:
    return result if self.ndim else reshape(result, ())


def _write_samples(make: Make) -> Iterator[Sample]:
    order = each_once(make, 3)
    yield Sample((make(3, 4), 0, order, make(3, 4)), name="rows")
    yield Sample((make(4, 3), -1, order[:2], make(4, 2)), name="columns")
    yield Sample((make(4, 3).t(), 0, order, make(3, 4)), name="transposed")
    yield Sample((make(), 0, make.index(1, 1), make(1)), name="0d")
    yield Sample((make(3, 4), 0, make.index(3, 0), make(0, 4)), name="nothing")


def _add_samples(make: Make) -> Iterator[Sample]:
    yield from _write_samples(make)
    yield Sample((make(3, 4), 0, make.index(3, 9), make(9, 4)), name="repeated")
    yield Sample((make(3, 4), 1, make.index(4, 6), make(3, 6)), {"alpha": 2}, name="alpha")


def _write_errors(make: Make) -> Iterator[ErrorSample]:
    yield error((IndexError, RuntimeError), "out of (range|bounds)",  # type: ignore[arg-type]
                make(3, 4), 0, make.index(1, 2) + 3, make(2, 4))
    yield error(RuntimeError, "Number of indices", make(3, 4), 0, make.index(3, 2), make(3, 4))
    yield error(RuntimeError, "same scalar type", make(3), 0, make.index(3, 2), make.index(3, 2))


@writes_through
@composite(
    "index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
    dtypes="numeric", inplace=True, samples=_add_samples, errors=_write_errors,
    derivatives={
        "self": lambda g: g,
        "source": lambda g, source_shape, dim, index, alpha: _selected(
            g * alpha if alpha != 1 else g, dim, index, source_shape),
    },
)
def index_add(
    self: Tensor, dim: int, index: Tensor, source: Tensor, alpha: Any = 1
) -> Tensor:
    """A copy with ``alpha * source[i]`` added to slice ``index[i]`` of a dimension."""
    target, dim, at, source = _prepared("index_add", self, dim, index, source)
    scaled = source * number(alpha, self.dtype) if alpha != 1 else source
    return _shaped(scatter_add(target, dim, at, scaled), self)


def _selected(g: Tensor, dim: int, index: Tensor, shape: Sequence[int]) -> Tensor:
    result: Tensor = reshape(index_select(g, dim, index), tuple(shape))
    return result


@writes_through
@composite(
    "index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor", dtypes="all",
    inplace=True, samples=_write_samples, errors=_write_errors,
    derivatives={
        "self": lambda g, dim, index: index_fill(g, dim, index, 0),
        "source": lambda g, source_shape, dim, index: _selected(g, dim, index, source_shape),
    },
)
def index_copy(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy with ``source[i]`` written to slice ``index[i]`` of a dimension."""
    target, dim, at, source = _prepared("index_copy", self, dim, index, source)
    return _shaped(scatter_elements(target, dim, at, source), self)


def _fill_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 0, make.index(3, 2), 1.5)
    yield sample(make(3, 4), 1, make.index(4, 2) - 4, 2)
    yield sample(make(3, 4), 1, make.index(4, 2), make())
    yield sample(make(), 0, make.index(1, 1), 1)
    yield sample(make(3, 0), 0, make.index(3, 2), 1)


def _fill_value(g: Tensor, dim: int, index: Tensor) -> Tensor:
    filled = index_fill(zeros_of(g, g.shape), dim, index, 1)  # each slice once, however often named
    total: Tensor = (g * filled).sum()
    return total


@writes_through
@composite(
    "index_fill(Tensor self, int dim, Tensor index, Operand value) -> Tensor", dtypes="all",
    inplace=True, samples=_fill_samples,
    derivatives={
        "self": lambda g, dim, index: index_fill(g, dim, index, 0),
        "value": _fill_value,
    },
    errors=lambda make: iter([
        error(IndexError, "out of bounds", make(3), 0, make.index(1, 1) + 3, 1),
        error(RuntimeError, "0-dimensional value", make(3), 0, make.index(3, 2), make(2))]),
)
def index_fill(self: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with the slices that an index names filled with a number."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s).")
    dim, index = _checked("index_fill", self, dim, index)
    target = _at_least_1d(self)
    size = target.shape[dim]
    seen = every_sample(index)
    if seen.numel() and (int(seen.amin()) < -size or int(seen.amax()) >= size):
        low = int(seen.amin())
        raise IndexError(
            f"index {low if low < -size else int(seen.amax())} is out of bounds for dimension "
            f"{dim} with size {size}")
    at = _at(where(index < 0, index + size, index), dim, target.shape)
    if isinstance(value, Tensor):
        value = value.to(self.dtype).expand(at.shape)
    else:
        value = number(value, self.dtype)
    return _shaped(scatter_elements(target, dim, at, value), self)


@composite(
    "index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *, "
    "bool include_self=True) -> Tensor",
    dtypes="real", inplace=True,
    samples=lambda make: iter([
        Sample((make(3, 4), 0, make.index(3, 5), make(5, 4), how), {"include_self": own},
               name=f"{how}_{own}")
        for how in ("prod", "mean", "amax", "amin") for own in (True, False)]),
    errors=lambda make: iter([
        error(RuntimeError, "prod, mean, amax or amin", make(3), 0, make.index(3, 2), make(2),
              "sum")]),
)
def index_reduce(
    self: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str,
    include_self: bool = True,
) -> Tensor:
    """A copy whose slice ``index[i]`` is combined with ``source[i]``: prod, mean, amax, amin."""
    from flambeau.ops.scatter import scatter_reduce

    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}.")
    target, dim, at, source = _prepared("index_reduce", self, dim, index, source)
    return _shaped(
        scatter_reduce(target, dim, at, source, reduce, include_self=include_self), self)
