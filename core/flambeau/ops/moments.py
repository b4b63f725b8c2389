"""Variances and standard deviations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau.autograd.grad_mode import is_grad_enabled
from flambeau.caution import warn
from flambeau.ops.compare import where
from flambeau.ops.pointwise import abs, sqrt
from flambeau.ops.reduce import count_of, mean, restore_dims, sum
from flambeau.promotion import reduced_dims
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, dim_errors, error, sample
from flambeau.tensor import Tensor


def _samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4))
    yield sample(make(3, 4), 0)
    yield sample(make(3, 4), -1, True, True)
    yield sample(make(2, 3, 4), (0, 2), correction=0)
    yield sample(make(4, 3).t(), 1, keepdim=True, correction=2)
    yield sample(make(5), unbiased=False)


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield from dim_errors(make)
    yield error(RuntimeError, "only support floating point and complex", make.index(4, 3))


def _variance_grad(
    g: Tensor, needs: Any, self: Tensor, centre: Tensor, dim: Any, correction: Any, keepdim: bool
) -> Any:
    """2 (x - mean) / (n - correction)."""
    if is_grad_enabled():  # the saved mean does not lead back to the input
        centre = mean(self, reduced_dims(dim, self.ndim), keepdim=True)
    freedom = count_of(self.shape, dim) - correction
    scale = restore_dims(g, self.shape, dim, keepdim) * (
        2.0 / freedom if freedom > 0 else float("inf"))
    return (scale * (self - centre),)


@composite(
    "variance(Tensor self, int[]? dim, Scalar correction, bool keepdim) "
    "-> (Tensor variance, Tensor centre)",
    namespaces=("_internal",), method=False, out=False, dtypes="floating_complex",
    template="fused", joint=_variance_grad,
    samples=lambda make: iter([sample(make(3, 4), None, 1, False), sample(make(3, 4), 0, 0, True)]),
)
def variance(self: Tensor, dim: Any, correction: Any, keepdim: bool) -> Any:
    """The variance over dimensions, in two passes, and the mean, its dimensions kept."""
    dims = reduced_dims(dim, self.ndim)
    centre = mean(self, dims, keepdim=True)
    spread = self - centre
    squares = spread * spread if not self.dtype.is_complex else abs(spread) * abs(spread)
    freedom = count_of(self.shape, dims) - correction
    return sum(squares, dims, keepdim) / (freedom if freedom > 0 else 0), centre


def _arguments(
    name: str, self: Tensor, dim: Any, unbiased: Any, correction: Any
) -> tuple[Any, Any]:
    """Dimensions and correction of PyTorch's three ways of calling: ``(unbiased)``,
    ``(dim, unbiased, keepdim)`` and ``(dim, *, correction, keepdim)``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if self.dtype.category < 2:
        raise RuntimeError(f"{name}: std and var only support floating point and complex dtypes")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    elif unbiased is not None:
        raise TypeError(f"{name}(): give either 'unbiased' or 'correction', not both")
    freedom = count_of(self.shape, dim) - correction
    if freedom <= 0:

        warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).")
    return dim, correction


@composite("root(Tensor self) -> Tensor", namespaces=("_internal",), template="unary",
           derivatives={"self": lambda g, out: where(out == 0, 0.0, g / (out * 2))},
           samples=lambda make: iter([sample(make(3, low=0.1))]))
def _root(self: Tensor) -> Any:
    """The square root of a variance; its derivative at 0 is taken to be 0."""
    return sqrt(self)


@composite(
    "var(Tensor self, Any dim=None, bool? unbiased=None, bool keepdim=False, *, "
    "Scalar? correction=None) -> Tensor",
    template="front", dtypes="floating_complex", samples=_samples, errors=_errors,
)
def var(
    self: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
    correction: Any = None,
) -> Any:
    """The variance, the sum of squares divided by n - correction (1 unless given)."""
    dim, correction = _arguments("var", self, dim, unbiased, correction)
    return variance(self, dim, correction, keepdim)[0]


@composite(
    "std(Tensor self, Any dim=None, bool? unbiased=None, bool keepdim=False, *, "
    "Scalar? correction=None) -> Tensor",
    template="front", dtypes="floating_complex", samples=_samples, errors=_errors,
)
def std(
    self: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
    correction: Any = None,
) -> Any:
    """The standard deviation, the root of :func:`var`."""
    dim, correction = _arguments("std", self, dim, unbiased, correction)
    return _root(variance(self, dim, correction, keepdim)[0])


@composite(
    "var_mean(Tensor self, Any dim=None, bool? unbiased=None, bool keepdim=False, *, "
    "Scalar? correction=None) -> (Tensor, Tensor)",
    template="front", dtypes="floating_complex", samples=_samples, errors=_errors, method=False,
)
def var_mean(
    self: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
    correction: Any = None,
) -> Any:
    """The variance and the mean."""
    dim, correction = _arguments("var_mean", self, dim, unbiased, correction)
    return variance(self, dim, correction, keepdim)[0], mean(self, dim, keepdim)


@composite(
    "std_mean(Tensor self, Any dim=None, bool? unbiased=None, bool keepdim=False, *, "
    "Scalar? correction=None) -> (Tensor, Tensor)",
    template="front", dtypes="floating_complex", samples=_samples, errors=_errors, method=False,
)
def std_mean(
    self: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
    correction: Any = None,
) -> Any:
    """The standard deviation and the mean."""
    dim, correction = _arguments("std_mean", self, dim, unbiased, correction)
    return _root(variance(self, dim, correction, keepdim)[0]), mean(self, dim, keepdim)
