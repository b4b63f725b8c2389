"""Running sums and products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.promotion import cast
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import Make, Sample, dim_errors, sample
from flambeau.tensor import Tensor


def _cumsum_rule(self: Tensor, dim: int, dtype: dtypes.dtype | None = None) -> Plan:
    dim = wrap_dim(dim, self.ndim)
    out = dtype or (dtypes.int64 if self.dtype.category < 2 else self.dtype)
    return Plan((cast(self, out),), (Result(self.shape, out),), {"dim": dim})


def _scan_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 0)
    yield sample(make(3, 4), -1)
    yield sample(make(4, 3).t(), 1)
    yield sample(make(2, 3, 4), 1)
    yield sample(make(), 0)
    yield sample(make(0, 3), 0)


cumsum = primitive(
    "cumsum(Tensor self, int dim, *, dtype? dtype=None) -> Tensor",
    doc="The running sum along a dimension; of integers as int64.",
    rule=_cumsum_rule, dtypes="numeric", inplace=True,
    derivatives={"self": lambda g, dim: reverse_cumsum(g, dim)},
    samples=_scan_samples, errors=dim_errors,
)


def reverse_cumsum(x: Tensor, dim: int) -> Tensor:
    """The running sum from the end."""
    if x.ndim == 0 or x.numel() <= 1:
        return x
    result: Tensor = cumsum(x.flip(dim), dim).flip(dim)
    return result


@composite(
    "cumprod(Tensor self, int dim, *, dtype? dtype=None) -> Tensor", dtypes="numeric",
    samples=_scan_samples, errors=dim_errors, inplace=True,
)
def cumprod(self: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The running product along a dimension, in log2(n) doubling steps; of integers as int64."""
    from flambeau.ops.join import cat

    dim = wrap_dim(dim, self.ndim)
    out = dtype or (dtypes.int64 if self.dtype.category < 2 else self.dtype)
    x = self.to(out)
    if not x.ndim:
        return x.clone()  # type: ignore[no-any-return]
    n, reach = x.shape[dim], 1
    while reach < n:
        grown = x.narrow(dim, reach, n - reach) * x.narrow(dim, 0, n - reach)
        x = cat([x.narrow(dim, 0, reach), grown], dim)
        reach *= 2
    return x if x is not self else x.clone()
