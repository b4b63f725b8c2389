"""Running sums and products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau import dtypes, return_types
from flambeau.layout import wrap_dim
from flambeau.ops.compare import isfinite, where
from flambeau.ops.complex import angle, complex, imag, real
from flambeau.ops.create import arange, ones_like, zeros_like
from flambeau.ops.exponential import logaddexp
from flambeau.ops.join import cat
from flambeau.ops.pointwise import exp
from flambeau.ops.rounding import round
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
def cumprod(self: Tensor, dim: int, dtype: Any = None) -> Any:
    """The running product along a dimension; of integers as int64."""
    dim = wrap_dim(dim, self.ndim)
    out = dtype or (dtypes.int64 if self.dtype.category < 2 else self.dtype)
    (result,) = _doubling((self.to(out),), dim, lambda left, right: (left[0] * right[0],))
    return result.clone() if result is self else result


def _doubling(items: tuple[Tensor, ...], dim: int, combine: Any) -> Any:
    """The running combination of tensors by an associative function, in log2(n) steps.

    ``combine(left, right)`` takes and returns as many tensors as ``items``; with step 2^k it has
    combined the 2^k elements before each one.
    """
    if not items[0].ndim:
        return items
    n, reach = items[0].shape[dim], 1
    while reach < n:
        left = tuple(t.narrow(dim, 0, n - reach) for t in items)
        right = tuple(t.narrow(dim, reach, n - reach) for t in items)
        items = tuple(
            cat([t.narrow(dim, 0, reach), grown], dim)
            for t, grown in zip(items, combine(left, right), strict=True)
        )
        reach *= 2
    return items


# ---- extremes ----------------------------------------------------------------------------------
def _cumulative_extreme(self: Tensor, dim: int, beats: Any) -> Any:
    """Running extremes and where they were last; NaN stays once it has come."""
    dim = wrap_dim(dim, self.ndim)
    if not self.ndim:
        return self.clone(), self.new_zeros((), dtype=dtypes.int64)
    n = self.shape[dim]
    place = arange(n, device=self.device).reshape([n if d == dim else 1 for d in range(self.ndim)])

    def later(left: Any, right: Any) -> Any:
        (a, i), (b, j) = left, right
        takes = (b != b) | ((a == a) & beats(b, a))
        return where(takes, b, a), where(takes, j, i)

    return _doubling((self.clone(), place.expand(self.shape).clone()), dim, later)


_extreme_facts: Any = {
    "namespaces": ("_internal",), "dtypes": "real", "errors": dim_errors,
    "derivatives": {"self": lambda g, indices, dim, self_shape: g.new_zeros(
        tuple(self_shape)).scatter_add(dim, indices, g) if len(self_shape) else g},
    "samples": lambda make: iter([sample(make.distinct(3, 4), 0), sample(make.distinct(3, 4), -1),
                                  sample(make.distinct(4, 3).t(), 1), sample(make.distinct(), 0)]),
}


@composite(
    "cummax_along(Tensor self, int dim) -> (Tensor values, Tensor indices)", **_extreme_facts
)
def cummax_along(self: Tensor, dim: int) -> Any:
    """The greatest values so far along a dimension, and where they were last."""
    return _cumulative_extreme(self, dim, lambda new, old: new >= old)


@composite(
    "cummin_along(Tensor self, int dim) -> (Tensor values, Tensor indices)", **_extreme_facts
)
def cummin_along(self: Tensor, dim: int) -> Any:
    """The smallest values so far along a dimension, and where they were last."""
    return _cumulative_extreme(self, dim, lambda new, old: new <= old)


@composite(
    "cummax(Tensor self, int dim) -> (Tensor values, Tensor indices)", dtypes="real",
    samples=_extreme_facts["samples"], errors=dim_errors,
)
def cummax(self: Tensor, dim: int) -> Any:
    """The greatest value so far along a dimension, and its last index; NaN stays."""
    return return_types.cummax(cummax_along(self, dim))


@composite(
    "cummin(Tensor self, int dim) -> (Tensor values, Tensor indices)", dtypes="real",
    samples=_extreme_facts["samples"], errors=dim_errors,
)
def cummin(self: Tensor, dim: int) -> Any:
    """The smallest value so far along a dimension, and its last index; NaN stays."""
    return return_types.cummin(cummin_along(self, dim))


# ---- logcumsumexp ------------------------------------------------------------------------------
@composite(
    "logcumsumexp(Tensor self, int dim) -> Tensor", samples=_scan_samples, errors=dim_errors,
    dtypes="floating_complex",
)
def logcumsumexp(self: Tensor, dim: int) -> Any:
    """log of the running sum of exponentials along a dimension, without overflow."""
    dim = wrap_dim(dim, self.ndim)
    (result,) = _doubling((self.clone(),), dim, lambda a, b: (logaddexp(a[0], b[0]),))
    if not self.dtype.is_complex or self.numel() < 2:
        return result
    return result + _turns(self.detach(), result.detach(), dim)


def _turns(x: Tensor, result: Tensor, dim: int) -> Any:
    """The multiples of 2 pi i between complex logarithms and those that adding one element after
    the other gives: each time the greater one's, and the angle that the smaller one adds to it."""
    count = x.shape[dim] - 1
    first, after = x.narrow(dim, 0, 1), x.narrow(dim, 1, count)
    before = result.narrow(dim, 0, count)
    leads = real(after) >= real(before)
    added = angle(1 + exp(where(leads, before - after, after - before)))
    added = cat([zeros_like(real(first)), where(isfinite(added), added, 0.0)], dim)
    leads = cat([ones_like(real(first), dtype=dtypes.bool), leads], dim)
    shape = [-1 if d == dim else 1 for d in range(x.ndim)]
    places = arange(count + 1, device=x.device).reshape(shape).expand(x.shape)
    leader, _ = cummax_along(where(leads, places, 0), dim)
    total = cumsum(added, dim)
    phase = (imag(x) + added - total).gather(dim, leader) + total
    turns = round((phase - imag(result)) / (2 * math.pi)) * (2 * math.pi)
    return complex(zeros_like(turns), where(isfinite(turns), turns, 0.0))
