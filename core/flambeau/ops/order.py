"""Order statistics: medians, modes, quantiles and the greatest few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes, return_types
from flambeau.layout import wrap_dim
from flambeau.modes import every_sample
from flambeau.ops.compare import where
from flambeau.ops.extremes import put_back
from flambeau.ops.pointwise import floor
from flambeau.ops.reduce import argmax, sum
from flambeau.ops.scan import cummax
from flambeau.ops.sorting import sort_stable
from flambeau.promotion import check_not_empty
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, dim_errors, error, sample
from flambeau.tensor import Tensor

_value_grad: Any = {
    "self": lambda g, indices, dim, keepdim, self_shape: put_back(
        g, indices, dim, keepdim, self_shape)
}


def _pick(values: Tensor, indices: Tensor, at: Any, dim: int, keepdim: bool) -> Any:
    """Sorted values and their indices at a position: a number, or a tensor of size 1 in ``dim``."""
    if isinstance(at, Tensor):
        values, indices = values.gather(dim, at), indices.gather(dim, at)
    else:
        values, indices = values.narrow(dim, at, 1), indices.narrow(dim, at, 1)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def _single(self: Tensor) -> Any:
    """A 0-d tensor is its own statistic, at index 0."""
    return self.clone(), self.new_zeros((), dtype=dtypes.int64)


def _along_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4), 0)
    yield sample(make.distinct(3, 5), -1, True)
    yield sample(make.distinct(5, 3).t(), 1)
    yield sample(make.distinct(), 0)


# ---- kthvalue ----------------------------------------------------------------------------------
def _kth_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4), 2)
    yield sample(make.distinct(3, 4), 1, 0)
    yield sample(make.distinct(3, 4), 4, -1, True)
    yield sample(make.distinct(), 1)


def _kth_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "out of range for dimension", make(3), 4)
    yield error(RuntimeError, "out of range for dimension", make(3), 0)
    yield error(IndexError, "Dimension out of range", make(3), 1, 1)


@composite(
    "kth_along(Tensor self, int k, int dim, bool keepdim) -> (Tensor values, Tensor indices)",
    namespaces=("_internal",), dtypes="real", derivatives=_value_grad,
    samples=lambda make: iter([sample(make.distinct(3, 4), 2, 1, False)]),
)
def kth_along(self: Tensor, k: int, dim: int, keepdim: bool) -> Any:
    """The k-th smallest values along a dimension, and their indices."""
    dim = wrap_dim(dim, self.ndim)
    if not 1 <= k <= (self.shape[dim] if self.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    if not self.ndim:
        return _single(self)
    values, indices = sort_stable(self, dim)
    return _pick(values, indices, k - 1, dim, keepdim)


@composite(
    "kthvalue(Tensor self, int k, int dim=-1, bool keepdim=False) "
    "-> (Tensor values, Tensor indices)",
    dtypes="real", samples=_kth_samples, errors=_kth_errors,
)
def kthvalue(self: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest value along a dimension, and its index; NaN counts as greatest."""
    return return_types.kthvalue(kth_along(self, k, dim, keepdim))


# ---- median ------------------------------------------------------------------------------------
@composite(
    "median_along(Tensor self, int dim, bool keepdim, bool ignore_nan) "
    "-> (Tensor values, Tensor indices)",
    namespaces=("_internal",), dtypes="real", derivatives=_value_grad,
    samples=lambda make: iter([sample(make.distinct(3, 4), 1, False, False)]),
)
def median_along(self: Tensor, dim: int, keepdim: bool, ignore_nan: bool) -> Any:
    """The lower median along a dimension, and its index; of NaN the first, or ignored."""
    dim = wrap_dim(dim, self.ndim)
    check_not_empty("nanmedian" if ignore_nan else "median", self, (dim,))
    if not self.ndim:
        return _single(self)
    n = self.shape[dim]
    values, indices = sort_stable(self, dim)
    if self.dtype.category < 2:
        return _pick(values, indices, (n - 1) // 2, dim, keepdim)
    numbers = sum(self == self, dim, keepdim=True)  # NaN stands behind them
    middle = ((numbers - 1).clamp(min=0) // 2) if ignore_nan else where(
        numbers == n, (n - 1) // 2, numbers)
    return _pick(values, indices, middle, dim, keepdim)


def _median_grad(g: Tensor, self: Tensor, out: Tensor) -> Any:
    hit = (self == out) | ((self != self) & (out != out))
    return g * hit / sum(hit)


@composite(
    "median_all(Tensor self, bool ignore_nan) -> Tensor", namespaces=("_internal",),
    dtypes="real", derivatives={"self": _median_grad},
    samples=lambda make: iter([sample(make.distinct(3, 5), False)]),
)
def median_all(self: Tensor, ignore_nan: bool) -> Any:
    """The lower median of all elements; NaN of none."""
    if not self.numel():
        return self.new_full((), float("nan"))
    return median_along(self.reshape(-1), 0, False, ignore_nan)[0]


def _median_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 5))
    yield from _along_samples(make)


@composite(
    "median(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", dtypes="real",
    samples=_median_samples, errors=dim_errors,
)
def median(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median: of all elements, or along a dimension as (values, indices).  NaN if
    there is one."""
    if dim is None:
        return median_all(self, False)
    return return_types.median(median_along(self, dim, keepdim, False))


@composite(
    "nanmedian(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", dtypes="real",
    samples=_median_samples, errors=dim_errors,
)
def nanmedian(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of what is not NaN: of all elements, or along a dimension as (values,
    indices)."""
    if dim is None:
        return median_all(self, True)
    return return_types.nanmedian(median_along(self, dim, keepdim, True))


# ---- mode --------------------------------------------------------------------------------------
@composite(
    "mode_along(Tensor self, int dim, bool keepdim) -> (Tensor values, Tensor indices)",
    namespaces=("_internal",), dtypes="real", derivatives=_value_grad,
    samples=lambda make: iter([sample(make.distinct(3, 4), 1, False)]),
)
def mode_along(self: Tensor, dim: int, keepdim: bool) -> Any:
    """The most frequent values along a dimension, the smallest of several, and where they are
    last: in sorted order, the end of the longest run."""
    from flambeau.ops.create import arange

    dim = wrap_dim(dim, self.ndim)
    check_not_empty("mode", self, (dim,))
    if not self.ndim:
        return _single(self)
    n = self.shape[dim]
    values, indices = sort_stable(self, dim)
    place = arange(n, device=self.device).reshape([n if d == dim else 1 for d in range(self.ndim)])
    place = place.expand(self.shape)
    begins = place == 0
    begins.narrow(dim, 1, n - 1).copy_(
        values.narrow(dim, 1, n - 1) != values.narrow(dim, 0, n - 1))
    length = place - cummax(where(begins, place, 0), dim)[0]
    return _pick(values, indices, argmax(length, dim, keepdim=True), dim, keepdim)


@composite(
    "mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
    dtypes="real", samples=_along_samples, errors=dim_errors,
)
def mode(self: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent value along a dimension, and an index where it stands."""
    return return_types.mode(mode_along(self, dim, keepdim))


# ---- topk --------------------------------------------------------------------------------------
def _topk_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.distinct(3, 4), 2)
    yield sample(make.distinct(3, 4), 3, 0)
    yield sample(make.distinct(3, 4), 2, -1, False)
    yield sample(make.distinct(4, 3).t(), 4)
    yield sample(make.distinct(), 1)


def _topk_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "selected index k out of range", make(3), 4)
    yield error(IndexError, "Dimension out of range", make(3), 1, 1)


@composite(
    "topk_along(Tensor self, int k, int dim, bool largest) -> (Tensor values, Tensor indices)",
    namespaces=("_internal",), dtypes="real",
    derivatives={"self": lambda g, indices, dim, self_shape: put_back(
        g, indices, dim, True, self_shape)},
    samples=lambda make: iter([sample(make.distinct(3, 4), 2, 1, True)]),
)
def topk_along(self: Tensor, k: int, dim: int, largest: bool) -> Any:
    """The k greatest or smallest values along a dimension in order, and their indices."""
    dim = wrap_dim(dim, self.ndim)
    if not 0 <= k <= (self.shape[dim] if self.ndim else 1):
        raise RuntimeError(
            f"selected index k out of range: topk() got k = {k} for shape {list(self.shape)}")
    if not self.ndim:
        return _single(self)
    return tuple(t.narrow(dim, 0, k).clone() for t in sort_stable(self, dim, largest))


@composite(
    "topk(Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True) "
    "-> (Tensor values, Tensor indices)",
    dtypes="real", samples=_topk_samples, errors=_topk_errors,
)
def topk(
    self: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Any:
    """The k greatest (or smallest) values along a dimension, and their indices; always sorted."""
    return return_types.topk(topk_along(self, k, dim, largest))


# ---- quantile ----------------------------------------------------------------------------------
def _quantile_samples(make: Make) -> Iterator[Sample]:
    if make.dtype.itemsize == 2:  # refused, as in PyTorch
        return
    yield sample(make.distinct(3, 5), 0.4)
    yield sample(make.distinct(3, 5), 0.25, 1, keepdim=True)
    for how in ("lower", "higher", "midpoint", "nearest"):
        yield sample(make.distinct(3, 5), 0.3, 0, interpolation=how)


def _quantile_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must be either float or double", make.index(4, 3), 0.5)
    yield error(RuntimeError, "in the range", make(3), 1.5)
    yield error(RuntimeError, "interpolation", make(3), 0.5, interpolation="cubic")
    yield error(IndexError, "Dimension out of range", make(3), 0.5, 1)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(name: str, self: Tensor, q: Any, interpolation: str) -> Any:
    if self.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if not self.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of {', '.join(_INTERPOLATIONS)}, but got "
            f"{interpolation}"
        )
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        return self.new_full((), q)
    if q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if q.dtype is not self.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if not bool(every_sample((q >= 0) & (q <= 1)).all()):
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    return q


def _quantile(
    name: str, self: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Any:
    """Ranks in the sorted order, between which values are interpolated."""
    q = _check_quantile(name, self, q, interpolation)
    x = self.reshape(-1) if dim is None else self.movedim(dim, -1) if self.ndim else self
    values = sort_stable(x, -1)[0] if x.ndim else x
    values = values.reshape(-1, values.shape[-1] if values.ndim else 1)  # one row per result
    last = values.shape[1] - 1
    numbers = sum(values == values, 1, keepdim=True)
    rank = q.reshape(1, -1) * (last if name == "quantile" else (numbers - 1).clamp(min=0))
    if name == "quantile":  # NaN is the last of the sorted values, and spoils its row
        rank = where(numbers > last, rank, float(last))
    if interpolation == "nearest":
        rank = rank.round()
    low = floor(rank).to(dtypes.int64).expand(values.shape[0], -1)
    result = values.gather(1, low)
    if interpolation in ("linear", "higher", "midpoint"):
        high = rank.ceil().to(dtypes.int64).expand(values.shape[0], -1)
        above = values.gather(1, high)
        weight = {"linear": rank - low, "higher": (high != low).to(x.dtype)}.get(interpolation, 0.5)
        result = result.lerp(above, weight)
    kept = [1] * self.ndim if dim is None else [
        1 if d == dim % max(self.ndim, 1) else n for d, n in enumerate(self.shape)]
    rest = kept if keepdim else ([] if dim is None else [
        n for d, n in enumerate(self.shape) if d != dim % max(self.ndim, 1)])
    return result.t().reshape([*q.shape, *rest])


@composite(
    "quantile(Tensor self, Any q, int? dim=None, bool keepdim=False, *, "
    "str interpolation='linear') -> Tensor",
    samples=_quantile_samples, errors=_quantile_errors,
)
def quantile(
    self: Tensor, q: Any, dim: int | None = None, keepdim: bool = False,
    interpolation: str = "linear",
) -> Any:
    """The values below which the parts ``q`` of the elements are; NaN where there is one."""
    return _quantile("quantile", self, q, dim, keepdim, interpolation)


@composite(
    "nanquantile(Tensor self, Any q, int? dim=None, bool keepdim=False, *, "
    "str interpolation='linear') -> Tensor",
    samples=_quantile_samples, errors=_quantile_errors,
)
def nanquantile(
    self: Tensor, q: Any, dim: int | None = None, keepdim: bool = False,
    interpolation: str = "linear",
) -> Any:
    """The quantiles of the elements that are not NaN."""
    return _quantile("nanquantile", self, q, dim, keepdim, interpolation)
