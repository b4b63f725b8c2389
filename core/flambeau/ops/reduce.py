"""Reductions over dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes
from flambeau.promotion import cast, check_not_empty, reduced_dims, reduced_shape, reduction
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, dim_errors, error, sample
from flambeau.samples import reduction as reduction_samples
from flambeau.tensor import Tensor


def _accumulated(d: dtypes.dtype) -> dtypes.dtype:
    return dtypes.int64 if d.category < 2 else d


def restore_dims(g: Tensor, shape: Sequence[int], dim: Any, keepdim: bool) -> Tensor:
    """A reduced tensor with the reduced dimensions put back as 1, so that it broadcasts."""
    if keepdim or not shape:
        return g
    dims = reduced_dims(dim, len(shape))
    result: Tensor = g.reshape(reduced_shape(shape, dims, True))
    return result


def _sum_samples(make: Make) -> Iterator[Sample]:
    yield from reduction_samples(make)
    yield sample(make(2, 3, 4), (0, 2))
    yield sample(make(2, 3, 4), (0, -1), keepdim=True)
    yield sample(make(0, 3), 0)
    yield sample(make(3, 0))


sum = primitive(
    "sum(Tensor self, int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
    doc="The sum; of integers and booleans as int64.",
    rule=reduction(_accumulated), template="reduction", reduction="init: 0; acc + x",
    dtypes="all",
    derivatives={"self": lambda g, self_shape, dim, keepdim: restore_dims(
        g, self_shape, dim, keepdim).expand(self_shape)},
    samples=_sum_samples, errors=dim_errors,
)


def _prod_rule(self: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Plan:
    plan: Plan = reduction(_accumulated)(self, dim, keepdim, dtype)
    return plan


def _prod_grad(g: Tensor, self: Tensor, out: Tensor, dim: Any, keepdim: bool) -> Any:
    """out / x where no factor is 0, else the product of the others, by two scans."""
    from flambeau.ops.pointwise import conj_of

    g = restore_dims(g, self.shape, dim, keepdim)
    if not bool((self == 0).any()):
        return g * conj_of(restore_dims(out, self.shape, dim, keepdim) / self)
    if dim is None:
        flat = self.reshape(-1)
        return (g.reshape(-1) * conj_of(_others(flat, 0))).reshape(self.shape)
    return g * conj_of(_others(self, dim))


def _others(x: Tensor, dim: int) -> Tensor:
    """For each element the product of the others along a dimension, without division."""
    from flambeau.ops.create import ones_like
    from flambeau.ops.join import cat
    from flambeau.ops.scan import cumprod

    if x.ndim == 0:
        ones: Tensor = ones_like(x)
        return ones
    n = x.shape[dim]
    one = ones_like(x.narrow(dim, 0, 1))
    before = cumprod(cat([one, x.narrow(dim, 0, n - 1)], dim), dim)
    after = cumprod(cat([one, x.flip(dim).narrow(dim, 0, n - 1)], dim), dim).flip(dim)
    result: Tensor = before * after
    return result


prod = primitive(
    "prod(Tensor self, int? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
    doc="The product; of integers and booleans as int64.",
    rule=_prod_rule, template="reduction", reduction="init: 1; acc * x", dtypes="all",
    derivatives={"self": _prod_grad}, samples=reduction_samples, errors=dim_errors,
)


def _extreme_grad(
    g: Tensor, self: Tensor, out: Tensor, dim: Any, keepdim: bool
) -> Any:
    """Shared equally among the elements that attain the extreme."""
    extreme = restore_dims(out, self.shape, dim, keepdim)
    hit = (self == extreme) | ((self != self) & (extreme != extreme))
    dims = reduced_dims(dim, self.ndim)
    count = hit.sum(dims if dims is not None else None, keepdim=True)
    return restore_dims(g, self.shape, dim, keepdim) * hit / count


def _extreme_errors(make: Make) -> Iterator[ErrorSample]:
    yield from dim_errors(make)
    yield error(IndexError, "non-zero size|numel\\(\\) == 0", make(0, 3), 0)


amax = primitive(
    "amax(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor",
    doc="The greatest value; NaN wins.",
    rule=reduction(lambda d: d, needs_elements="amax"), template="reduction",
    reduction="init: lowest; maximum(acc, x)", dtypes="real",
    derivatives={"self": _extreme_grad}, samples=reduction_samples, errors=_extreme_errors,
)

amin = primitive(
    "amin(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor",
    doc="The smallest value; NaN wins.",
    rule=reduction(lambda d: d, needs_elements="amin"), template="reduction",
    reduction="init: highest; minimum(acc, x)", dtypes="real",
    derivatives={"self": _extreme_grad}, samples=reduction_samples, errors=_extreme_errors,
)


def _arg_rule(name: str) -> Any:
    def rule(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Plan:
        dims = reduced_dims(dim, self.ndim)
        check_not_empty(name, self, dims)
        if self.dtype.is_complex or self.dtype is dtypes.bool:
            raise RuntimeError(f"{name}(): not implemented for '{self.dtype.name}'")
        shape = reduced_shape(self.shape, dims, keepdim)
        return Plan(
            (self,), (Result(shape, dtypes.int64),),
            {"dim": None if dims is None else dims[0], "keepdim": bool(keepdim)},
        )

    return rule


def _distinct_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4))
    yield sample(make.distinct(3, 4), 0)
    yield sample(make.distinct(3, 4), -1, keepdim=True)
    yield sample(make.distinct(4, 3).t(), 1)
    yield sample(make.distinct())


argmax = primitive(
    "argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor",
    doc="The index of the greatest value, the first one if there are several; NaN wins.",
    rule=_arg_rule("argmax"), reduction="argmax", dtypes="real", samples=_distinct_samples,
    errors=_extreme_errors,
)

argmin = primitive(
    "argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor",
    doc="The index of the smallest value, the first one if there are several; NaN wins.",
    rule=_arg_rule("argmin"), reduction="argmin", dtypes="real", samples=_distinct_samples,
    errors=_extreme_errors,
)


def _mean_errors(make: Make) -> Iterator[ErrorSample]:
    yield from dim_errors(make)
    yield error(RuntimeError, "could not infer output dtype", make.index(5, 3))


@composite(
    "mean(Tensor self, int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
    template="reduction", samples=_sum_samples, errors=_mean_errors,
    derivatives={"self": lambda g, self_shape, dim, keepdim: (
        restore_dims(g, self_shape, dim, keepdim) / count_of(self_shape, dim)).expand(self_shape)},
)
def mean(self: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The arithmetic mean; NaN over no elements."""
    if dtype is None and self.dtype.category < 2:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {self.dtype.name}. Convert the input with .float(), or pass "
            "dtype=."
        )
    if dtype is not None:
        if dtype.category < 2:
            raise RuntimeError(
                "mean(): could not infer output dtype. Optional dtype must be either a floating "
                f"point or complex dtype. Got: {dtype.name}")
        self = cast(self, dtype)
    total: Tensor = sum(self, dim, keepdim)
    return total / count_of(self.shape, dim)


def count_of(shape: Sequence[int], dim: Any) -> int:
    """Number of elements that one result of a reduction comes from."""
    from flambeau.layout import product

    dims = reduced_dims(dim, len(shape))
    return product(shape if dims is None else (shape[d] for d in dims))


# ---- truth -------------------------------------------------------------------------------------
def _truth_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.mask(3, 4))
    yield sample(make.mask(3, 4), 0)
    yield sample(make(3, 4), -1, keepdim=True)
    yield sample(make(2, 3, 4), (0, 2))
    yield sample(make(0, 3), 0)
    yield sample(make.mask(4, 3).t(), 1)
    yield sample(make())


def _zeros_among(self: Tensor, dim: Any, keepdim: bool, wanted: bool) -> Tensor:
    """How many elements are (not) zero; ``dim=()`` reduces nothing, as in PyTorch."""
    hits = self != 0 if wanted else self == 0
    if isinstance(dim, (tuple, list)) and not dim:
        return hits
    return sum(hits, dim, keepdim)  # type: ignore[no-any-return]


def _truth(self: Tensor, holds: Tensor) -> Any:
    """PyTorch answers in uint8 to a question in uint8."""
    return holds.to(dtypes.uint8) if self.dtype is dtypes.uint8 else holds


@composite(
    "all(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", template="reduction",
    dtypes="all",
    samples=_truth_samples, errors=dim_errors,
)
def all(self: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether no element is zero; true of no elements."""
    return _truth(self, _zeros_among(self, dim, keepdim, False) == 0)


@composite(
    "any(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", template="reduction",
    dtypes="all",
    samples=_truth_samples, errors=dim_errors,
)
def any(self: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether an element is not zero; false of no elements."""
    return _truth(self, _zeros_among(self, dim, keepdim, True) != 0)


@composite(
    "count_nonzero(Tensor self, int[]? dim=None) -> Tensor", dtypes="all", out=False,
    samples=lambda make: iter([sample(make(3, 4)), sample(make(3, 4), 0), sample(make(0, 3), 0),
                               sample(make(2, 3, 4), (0, 2)), sample(make())]),
    errors=dim_errors,
)
def count_nonzero(self: Tensor, dim: Any = None) -> Any:
    """How many elements are not zero."""
    return sum(self != 0, dim)


# ---- without NaN -------------------------------------------------------------------------------
def _without_nan(self: Tensor) -> Tensor:
    from flambeau.ops.compare import where

    return where(self != self, 0.0, self)  # type: ignore[no-any-return]


@composite(
    "nansum(Tensor self, int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
    dtypes="real", samples=_sum_samples, errors=dim_errors,
)
def nansum(self: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The sum, NaN counted as 0."""
    if self.dtype.is_complex:
        raise RuntimeError("nansum does not support complex inputs")
    return sum(self if self.dtype.category < 2 else _without_nan(self), dim, keepdim, dtype=dtype)


def _nanmean_errors(make: Make) -> Iterator[ErrorSample]:
    yield from dim_errors(make)
    yield error(RuntimeError, "floating point or complex", make.index(5, 3))


@composite(
    "nanmean(Tensor self, int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
    dtypes="floating_complex", samples=_sum_samples, errors=_nanmean_errors,
)
def nanmean(self: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The mean of the elements that are not NaN."""
    if self.dtype.category < 2:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{self.dtype.name}"
        )
    total = sum(_without_nan(self), dim, keepdim, dtype=dtype)
    return total / sum(self == self, dim, keepdim)
