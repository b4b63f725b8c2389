"""Sorting and order statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import Make, Sample, dim_errors, sample
from flambeau.tensor import Tensor


class ValuesIndices(NamedTuple):
    """What ops return that find values and where they were."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return f"flambeau.return_types.sort(\nvalues={self.values},\nindices={self.indices})"


def _sort_rule(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Plan:
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
    result: Tensor = g.new_zeros(g.shape).scatter(dim, indices, g)
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
    """Values in order along a dimension, and the indices they had."""
    return ValuesIndices(*sort_stable(self, dim, descending))


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
