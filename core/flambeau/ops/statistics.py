"""Reductions made of others: logical, extremes with their places, moments, norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flambeau import dtypes
from flambeau.ops.reduce import _count, amax, amin, argmax, argmin, sum
from flambeau.promotion import reduced_dims
from flambeau.registry import composite
from flambeau.samples import Make, Sample, dim_errors, reduction, sample
from flambeau.tensor import Tensor


def _truth(self: Tensor) -> Tensor:
    return self if self.dtype is dtypes.bool else self != 0


@composite(
    "any(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", dtypes="all",
    samples=reduction, errors=dim_errors,
)
def any(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether any element is not zero."""
    out: Tensor = sum(_truth(self), dim, keepdim) != 0
    return out.to(dtypes.uint8) if self.dtype is dtypes.uint8 else out  # type: ignore[no-any-return]


@composite(
    "all(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", dtypes="all",
    samples=reduction, errors=dim_errors,
)
def all(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are not zero."""
    out: Tensor = sum(~_truth(self), dim, keepdim) == 0
    return out.to(dtypes.uint8) if self.dtype is dtypes.uint8 else out  # type: ignore[no-any-return]


class max_result(NamedTuple):
    """Greatest values and their places."""

    values: Tensor
    indices: Tensor


class min_result(NamedTuple):
    """Smallest values and their places."""

    values: Tensor
    indices: Tensor


def _extreme(self: Tensor, other: Any, keepdim: bool, ops: Any, result: Any) -> Any:
    whole, places, binary = ops
    if other is None:
        return whole(self)
    if isinstance(other, Tensor):
        return binary(self, other)
    if not self.ndim:
        indices = places(self, None, keepdim)
        return result(whole(self), indices)
    indices = places(self, other, True)
    values = self.gather(other, indices)
    if not keepdim:
        values, indices = values.squeeze(other), indices.squeeze(other)
    return result(values, indices)


def _extreme_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4))
    yield sample(make.distinct(3, 4), 1)
    yield sample(make.distinct(3, 4), 0, True)
    yield sample(make(3, 4), make(4))


@composite(
    "max(Tensor self, Any dim=None, bool keepdim=False) -> Any", dtypes="real",
    samples=_extreme_samples, errors=dim_errors,
)
def max(self: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The greatest value; with ``dim`` values and indices; with a tensor the greater of two."""
    from flambeau.ops.pointwise import maximum

    return _extreme(self, dim, keepdim, (amax, argmax, maximum), max_result)


@composite(
    "min(Tensor self, Any dim=None, bool keepdim=False) -> Any", dtypes="real",
    samples=_extreme_samples, errors=dim_errors,
)
def min(self: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest value; with ``dim`` values and indices; with a tensor the smaller of two."""
    from flambeau.ops.pointwise import minimum

    return _extreme(self, dim, keepdim, (amin, argmin, minimum), min_result)


def _moments_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4))
    yield sample(make(3, 4), 1)
    yield sample(make(3, 4), (0, 1), correction=0, keepdim=True)
    yield sample(make(3, 4), 0, False)


def _variance(
    self: Tensor, dim: Any, unbiased: Any, correction: Any, keepdim: bool
) -> tuple[Tensor, Tensor]:
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    middle = self.mean(dim, keepdim=True) if dim is not None else self.mean()
    away = self - middle
    square = (away * away.conj()).real if self.dtype.is_complex else away * away
    freedom = _count(self.shape, dim) - correction
    total: Tensor = sum(square, dim, keepdim)
    result = total / (freedom if freedom > 0 else 0)
    reduced = reduced_dims(dim, self.ndim)
    if dim is not None and not keepdim and reduced is not None:
        middle = middle.squeeze(reduced)
    return result, middle


@composite(
    "var(Tensor self, Any dim=None, bool? unbiased=None, bool keepdim=False, *, "
    "Scalar? correction=None) -> Tensor", samples=_moments_samples, errors=dim_errors,
)
def var(
    self: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False,
    correction: Any = None,
) -> Tensor:
    """The variance, its sum divided by n - correction (1 by default)."""
    return _variance(self, dim, unbiased, correction, keepdim)[0]


@composite(
    "std(Tensor self, Any dim=None, bool? unbiased=None, bool keepdim=False, *, "
    "Scalar? correction=None) -> Tensor", samples=_moments_samples, errors=dim_errors,
)
def std(
    self: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False,
    correction: Any = None,
) -> Tensor:
    """The standard deviation, the root of the variance."""
    return _variance(self, dim, unbiased, correction, keepdim)[0].sqrt()  # type: ignore[no-any-return]


@composite(
    "logsumexp(Tensor self, int[] dim, bool keepdim=False) -> Tensor",
    samples=lambda make: iter([sample(make(3, 4), 1), sample(make(3, 4), (0, 1), True)]),
    errors=dim_errors,
)
def logsumexp(self: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))), without overflow."""
    top = amax(self.detach(), dim, True)
    finite = top.isfinite()
    top = top.where(finite, 0.0)
    total = (self - top).exp().sum(dim, keepdim=True).log() + top
    if keepdim:
        return total  # type: ignore[no-any-return]
    reduced = reduced_dims(dim, self.ndim)
    return total.squeeze(reduced) if reduced is not None else total  # type: ignore[no-any-return]
