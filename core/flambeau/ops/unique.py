"""Distinct elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import product, wrap_dim
from flambeau.ops.scan import cumsum
from flambeau.ops.sorting import sort_stable
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _samples(make: Make) -> Iterator[Sample]:
    yield sample(make.index(4, 10))
    yield sample(make.index(3, 4, 5), return_inverse=True, return_counts=True)
    yield sample(make.index(2, 6, 2), return_inverse=True, return_counts=True, dim=0)
    yield sample(make.index(2, 2, 6), dim=-1)
    yield sample(make.index(3, 0))
    yield sample(make(3, 4))


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "Dimension out of range", make(3, 4), dim=2)
    yield error(TypeError, "must be Tensor", [1, 2])


def _first_of_runs(rows: Tensor) -> Any:
    """Where a row (or, of a vector, an element) differs from the one before."""
    n = rows.shape[0]
    begins = rows.new_ones((n,), dtype=dtypes.bool)
    if n > 1:
        differs = rows.narrow(0, 1, n - 1) != rows.narrow(0, 0, n - 1)
        begins.narrow(0, 1, n - 1).copy_(_flat(differs).any(1))
    return begins


def _lengths(begins: Tensor) -> Any:
    """The lengths of the runs that begin at these places."""
    from flambeau.ops.join import cat

    starts = begins.nonzero().reshape(-1)
    n = starts.shape[0]
    ends = cat([starts.narrow(0, 1, max(n - 1, 0)) if n else starts,
                starts.new_full((min(n, 1),), begins.shape[0])])
    return ends - starts


def _flat(x: Tensor) -> Any:
    """Rows of a tensor of any number of dimensions as vectors; also of none, or of nothing."""
    return x.reshape(x.shape[0], product(x.shape[1:]))


def _rows(self: Tensor, dim: int | None) -> Any:
    return self.reshape(-1) if dim is None else _flat(self.movedim(dim, 0))


def _answer(
    self: Tensor, dim: int | None, chosen: Tensor, inverse: Any, begins: Tensor,
    return_inverse: bool, return_counts: bool,
) -> Any:
    """The values and, as far as wanted, the inverse and the counts."""
    if dim is None:
        values = self.reshape(-1).index_select(0, chosen)
        inverse = inverse.reshape(self.shape)
    else:
        values = self.index_select(dim, chosen)
    answers = [values]
    if return_inverse:
        answers.append(inverse)
    if return_counts:
        answers.append(_lengths(begins))
    return tuple(answers) if len(answers) > 1 else values


def _order(rows: Tensor) -> Tensor:
    """The permutation that sorts rows, the first column first in rank."""
    if rows.ndim == 1:
        return sort_stable(rows, 0)[1]  # type: ignore[no-any-return]
    from flambeau.ops.create import arange

    order: Tensor = arange(rows.shape[0], device=rows.device)
    for column in range(rows.shape[1] - 1, -1, -1):
        keys = rows.select(1, column).index_select(0, order)
        order = order.index_select(0, sort_stable(keys, 0)[1])
    return order


@composite(
    "unique(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False, "
    "int? dim=None) -> Tensor",
    dtypes="real", out=False, samples=_samples, errors=_errors,
)
def unique(
    self: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements, or slices along ``dim``, in order.

    Returns:
        the values, or a tuple of them with, as asked for, the position of every element among
        the values, and how often each value occurs.
    """
    dim = None if dim is None else wrap_dim(dim, self.ndim)
    rows = _rows(self, dim)
    order = _order(rows)
    begins = _first_of_runs(rows.index_select(0, order))
    inverse = begins.new_zeros(begins.shape, dtype=dtypes.int64)
    inverse = inverse.scatter(0, order, cumsum(begins.to(dtypes.int64), 0) - 1)
    chosen = order.index_select(0, begins.nonzero().reshape(-1))
    return _answer(self, dim, chosen, inverse, begins, return_inverse, return_counts)


@composite(
    "unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, "
    "int? dim=None) -> Tensor",
    dtypes="real", out=False, errors=_errors,
    samples=lambda make: iter([
        sample(make.index(2, 10)), sample(make.index(2, 3, 4), True, True),
        sample(make.index(2, 6, 1), True, True, 0), sample(make.index(3, 0)),
        sample(make.distinct(6), True)]),
)
def unique_consecutive(
    self: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """One element, or slice along ``dim``, of every run of equal ones; results as of
    :func:`unique`."""
    dim = None if dim is None else wrap_dim(dim, self.ndim)
    begins = _first_of_runs(_rows(self, dim))
    inverse = cumsum(begins.to(dtypes.int64), 0) - 1
    chosen = begins.nonzero().reshape(-1)
    return _answer(self, dim, chosen, inverse, begins, return_inverse, return_counts)
