"""Sorting and order statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes, return_types
from flambeau.layout import wrap_dim
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import Make, Sample, dim_errors, sample, unary_errors
from flambeau.tensor import Tensor


def _sort_rule(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Plan:
    if self.dtype.is_complex:
        raise RuntimeError("sort(): values of complex dtype have no order")
    dim = wrap_dim(dim, self.ndim)
    results = (Result(self.shape, self.dtype), Result(self.shape, dtypes.int64))
    return Plan((self,), results, {"dim": dim, "descending": bool(descending)})


def _sort_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4))
    yield sample(make.distinct(3, 4), 0)
    yield sample(make.distinct(3, 4), -1, True)
    yield sample(make.distinct(4, 3).t(), 0)
    yield sample(make.distinct())
    yield sample(make(0, 3), 0)


def _put_back(g: Tensor, indices: Tensor, dim: int) -> Tensor:
    """Gradients of sorted values, at the places where the values came from."""
    result: Tensor = g.new_zeros(g.shape).scatter(dim, indices, g) if g.ndim else g
    return result


sort_stable = primitive(
    "sort_stable(Tensor self, int dim=-1, bool descending=False, bool stable=True) "
    "-> (Tensor values, Tensor indices)",
    doc="Values in order along a dimension and where they were; stable; NaN counts as greatest.",
    rule=_sort_rule, dtypes="real", namespaces=("_internal",),
    derivatives={"self": lambda g, indices, dim: _put_back(g, indices, dim)},
    samples=_sort_samples, errors=dim_errors,
)


@composite(
    "sort(Tensor self, int dim=-1, bool descending=False, *, bool? stable=None) "
    "-> (Tensor values, Tensor indices)",
    dtypes="real", samples=_sort_samples, errors=dim_errors,
)
def sort(
    self: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None
) -> Any:
    """Values in order along a dimension, and the indices they had; NaN counts as greatest."""
    return return_types.sort(sort_stable(self, dim, descending))


@composite(
    "argsort(Tensor self, int dim=-1, bool descending=False, *, bool? stable=None) -> Tensor",
    dtypes="real", samples=_sort_samples, errors=dim_errors,
)
def argsort(
    self: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None
) -> Tensor:
    """The indices that sort a dimension."""
    indices: Tensor = sort_stable(self, dim, descending)[1]
    return indices


@composite(
    "msort(Tensor self) -> Tensor", dtypes="real", errors=unary_errors,
    samples=lambda make: iter([sample(make.distinct(3, 4)), sample(make.distinct(4)),
                               sample(make(0, 3))]),
)
def msort(self: Tensor) -> Any:
    """Values in order along the first dimension."""
    return sort_stable(self, 0)[0]
