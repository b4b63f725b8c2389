"""Searching in sorted values, and counting into bins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.ops.compare import where
from flambeau.ops.create import scalar_tensor, zeros
from flambeau.promotion import computation_type
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


# ---- search ------------------------------------------------------------------------------------
def _search_samples(make: Make) -> Iterator[Sample]:
    edges = make.distinct(6).sort()[0]
    yield sample(edges, make(3, 4))
    yield sample(edges, edges.clone(), right=True)
    yield sample(edges, 0.5)
    yield sample(make.distinct(3, 5).sort(1)[0], make(3, 4), out_int32=True)
    yield sample(edges, make(0))


def _search_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "first N-1 dimensions", make(2, 3), make(4))
    yield error(RuntimeError, "side and right can't be set to opposites", make(3), make(2),
                right=True, side="left")
    yield error(RuntimeError, "side can only be", make(3), make(2), side="middle")


def _side(right: bool, side: str | None) -> bool:
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "searchsorted(): side and right can't be set to opposites, got side of left while "
            "right was True"
        )
    return right or side == "right"


def _check_shapes(sequence: Tensor, values: Tensor) -> None:
    if not sequence.ndim:
        raise RuntimeError("searchsorted(): boundaries tensor should have positive dimension")
    if sequence.ndim > 1 and (
        sequence.ndim != values.ndim or sequence.shape[:-1] != values.shape[:-1]
    ):
        raise RuntimeError(
            "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions "
            "of boundaries tensor and input value tensor must match, but we got boundaries "
            f"tensor {list(sequence.shape)} and input value tensor {list(values.shape)}"
        )


@composite(
    "count_below(Tensor sorted_sequence, Tensor self, bool right) -> Tensor",
    namespaces=("_internal",), method=False, dtypes="real",
    samples=lambda make: iter([sample(make.distinct(6).sort()[0], make(3, 4), False)]),
)
def count_below(sorted_sequence: Tensor, self: Tensor, right: bool) -> Any:
    """How many sorted values lie before each value (or, ``right``, do not lie after it): a
    binary search in log2(n) steps, along the last dimension."""
    n = sorted_sequence.shape[-1]
    sequence = sorted_sequence if sorted_sequence.ndim > 1 else sorted_sequence.reshape(1, -1)
    values = self if sorted_sequence.ndim > 1 else self.reshape(1, -1)
    low = zeros(values.shape, dtype=dtypes.int64, device=self.device)
    high = low + n
    for _ in range(n.bit_length()):
        middle = (low + high) // 2
        found = sequence.gather(-1, middle.clamp(max=n - 1))
        # NaN is the greatest: written so that comparing with it answers as if it were.
        goes_on = ~(found > values) if right else ~(found >= values)
        goes_on = goes_on & (low < high)
        low, high = where(goes_on, middle + 1, low), where(goes_on, high, middle)
    return low.reshape(self.shape)


@composite(
    "searchsorted(Tensor sorted_sequence, Operand self, *, bool out_int32=False, "
    "bool right=False, str? side=None, Tensor? sorter=None) -> Tensor",
    dtypes="real", method=False, samples=_search_samples, errors=_search_errors,
)
def searchsorted(
    sorted_sequence: Tensor, self: Any, out_int32: bool = False, right: bool = False,
    side: str | None = None, sorter: Tensor | None = None,
) -> Any:
    """The places in the sorted last dimension where values would have to be put to keep it
    sorted: before equal ones, or behind them (``right``)."""
    right = _side(right, side)
    if sorter is not None:
        if sorter.dtype is not dtypes.int64 or sorter.shape != sorted_sequence.shape:
            raise RuntimeError(
                "searchsorted(): sorter must be an int64 tensor of the shape of sorted_sequence, "
                f"got {sorter.dtype.name} of shape {list(sorter.shape)}"
            )
        sorted_sequence = sorted_sequence.gather(-1, sorter)
    values = self
    if not isinstance(values, Tensor):
        if sorted_sequence.ndim != 1:
            raise RuntimeError(
                "searchsorted(): input value can be a scalar only when boundaries tensor "
                f"dimension is 1, but we got {sorted_sequence.ndim}"
            )
        what = computation_type(sorted_sequence, values)
        values = scalar_tensor(values, dtype=what, device=sorted_sequence.device)
    _check_shapes(sorted_sequence, values)
    what = dtypes.promote_types(sorted_sequence.dtype, values.dtype)
    result = count_below(sorted_sequence.to(what), values.to(what), right)
    return result.to(dtypes.int32) if out_int32 else result


def _bucket_samples(make: Make) -> Iterator[Sample]:
    edges = make.distinct(6).sort()[0]
    yield sample(make(3, 4), edges)
    yield sample(edges.clone(), edges, right=True)
    yield sample(0.5, edges, out_int32=True)


@composite(
    "bucketize(Operand self, Tensor boundaries, *, bool out_int32=False, bool right=False) "
    "-> Tensor",
    dtypes="real", method=False, samples=_bucket_samples,
    errors=lambda make: iter([error(RuntimeError, "must be 1 dimension", make(3), make(2, 3))]),
)
def bucketize(self: Any, boundaries: Tensor, out_int32: bool = False, right: bool = False) -> Any:
    """The number of the bucket between sorted boundaries that each value falls into."""
    if boundaries.ndim != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, self, out_int32=out_int32, right=right)


# ---- bins --------------------------------------------------------------------------------------
def _histogram_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "bins must be > 0", make(3), 0)
    yield error(RuntimeError, "max must be larger than min", make(3), 2, 1, 0)
    yield error(NotImplementedError, "not implemented for", make.index(3, 3))


@composite(
    "histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor",
    samples=lambda make: iter([sample(make(12)), sample(make(3, 4), 5), sample(make(12), 4, -1, 1),
                               sample(make(0), 3)]),
    errors=_histogram_errors,
)
def histc(self: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Any:
    """How many elements fall into each of ``bins`` equal parts of [min, max]; of the values'
    own range if both are 0."""
    if self.dtype.category != 2:
        raise NotImplementedError(f"histc is not implemented for {self.dtype.name}")
    if bins <= 0:
        raise RuntimeError(f"histc(): bins must be > 0, got {bins}")
    low, high = float(min), float(max)
    if low == high and self.numel():
        low, high = float(self.min().item()), float(self.max().item())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError("histc: max must be larger than min")
    flat = self.reshape(-1)
    if self.itemsize == 2:
        flat = flat.float()
    inside = (flat >= low) & (flat <= high)
    place = ((flat - low) * (bins / (high - low))).floor().clamp(0, bins - 1)
    place = where(inside, place, 0.0).to(dtypes.int64)
    counts = zeros((bins,), dtype=self.dtype, device=self.device)
    return counts.scatter_add(0, place, inside.to(self.dtype))


def _bincount_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "1-d non-negative integral", make.index(3, 2, 2))
    yield error(RuntimeError, "1-d non-negative integral", make.index(3, 2) - 5)
    yield error(NotImplementedError, "not implemented for", make(3, dtype=dtypes.float32))
    yield error(RuntimeError, "same length", make.index(3, 4), make(3))


@composite(
    "bincount(Tensor self, Tensor? weights=None, int minlength=0) -> Tensor", dtypes="none",
    out=False, errors=_bincount_errors,
    samples=lambda make: iter([
        sample(make.index(5, 10)), sample(make.index(5, 4), make(4)),
        sample(make.index(3, 4), minlength=8), sample(make.index(3, 0))]),
)
def bincount(self: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Any:
    """How often each number from 0 on occurs, or the sum of the weights of its occurrences."""
    if self.dtype.category != 1:
        raise NotImplementedError(f"bincount is not implemented for {self.dtype.name}")
    if self.ndim != 1 or (self.numel() and int(self.min().item()) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != self.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    n = int(self.max().item()) + 1 if self.numel() else 0
    what = dtypes.int64 if weights is None else (
        weights.dtype if weights.dtype is dtypes.float32 else dtypes.float64)
    counts = zeros((max(n, minlength),), dtype=what, device=self.device)
    ones = counts.new_ones(self.shape) if weights is None else weights.to(what)
    return counts.scatter_add(0, self.to(dtypes.int64), ones)
