"""Norms of vectors and the logarithm of summed exponentials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau.layout import product, wrap_dim
from flambeau.ops.compare import where
from flambeau.ops.complex import real
from flambeau.ops.pointwise import (
    abs,
    conj_of,
    exp,
    log,
    pow,
    sgn,
    sqrt,
    to_floating,
    zeros_like_gradient,
)
from flambeau.ops.reduce import amax, amin, restore_dims, sum
from flambeau.promotion import cast, reduced_dims
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, dim_errors, error, sample
from flambeau.tensor import Tensor


# ---- logsumexp ---------------------------------------------------------------------------------
def _logsumexp_grad(g: Tensor, self: Tensor, out: Tensor, dim: Any, keepdim: bool) -> Any:
    whole, scale = (restore_dims(t, self.shape, dim, keepdim) for t in (out, g))
    return scale * conj_of(exp(self - whole))


@composite(
    "logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", namespaces=("", "special"),
    dtypes="floating_complex", derivatives={"self": _logsumexp_grad}, errors=dim_errors,
    samples=lambda make: iter([
        sample(make(3, 4), 0), sample(make(3, 4), (0, 1)), sample(make(3, 4), -1, True),
        sample(make(4, 3).t(), 1), sample(make(0, 3), 1), sample(make(), 0)]),
)
def logsumexp(self: Tensor, dim: Any, keepdim: bool = False) -> Any:
    """log(sum(exp(x))) over dimensions; the greatest value is taken out against overflow."""
    x = to_floating(self)
    if x.itemsize == 2:
        return logsumexp(x.float(), dim, keepdim).to(x.dtype)
    if not x.numel():
        return log(sum(exp(x), dim, keepdim))
    greatest = amax(real(x), dim, keepdim=True)
    greatest = where(abs(greatest) == math.inf, 0.0, greatest)
    total = log(sum(exp(x - greatest), dim, keepdim))
    return total + (greatest if keepdim else greatest.reshape(total.shape))


# ---- norms -------------------------------------------------------------------------------------
def _norm_samples(make: Make) -> Iterator[Sample]:
    for order in (2, 1, 0, 3, 0.5, math.inf, -math.inf):
        yield sample(make(3, 4), order, 0)
    yield sample(make(3, 4))
    yield sample(make(2, 3, 4), 2, (0, -1), True)
    yield sample(make(4, 3).t(), 2, 1)
    yield sample(make(0, 3), 2, 0)
    yield sample(make())


def _norm_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "Dimension out of range", make(3, 4), 2, 2)
    yield error(RuntimeError, "floating point or complex", make.index(4, 3))
    yield error(RuntimeError, "no identity|does not have an identity", make(0), math.inf)


def _norm_grad(
    g: Tensor, self: Tensor, out: Tensor, ord: Any, dim: Any, keepdim: bool
) -> Any:
    """The norm's slope; 0 where it has none, as at the origin."""
    scale, norm = (restore_dims(t, self.shape, dim, keepdim) for t in (g, out))
    if ord == 0:
        return zeros_like_gradient(self)
    if ord == 1:
        return scale * sgn(self)
    if ord == 2:
        is_zero = norm == 0  # the second derivative divides, too
        return self * where(is_zero, 0.0, scale / where(is_zero, 1.0, norm))
    size = abs(self)
    if math.isinf(ord):
        hit = (size == norm) | (size != size)
        dims = reduced_dims(dim, self.ndim)
        return sgn(self) * (scale * hit / sum(hit, dims, keepdim=True))
    slope = where(norm == 0, 0.0, scale * pow(norm, 1 - ord))
    power = pow(size, ord - 1)
    return sgn(self) * where(self == 0, 0.0, power) * slope if ord < 2 else (
        sgn(self) * power * slope)


@composite(
    "vector_norm(Tensor self, Scalar ord=2, int[]? dim=None, bool keepdim=False, *, "
    "dtype? dtype=None) -> Tensor",
    namespaces=("linalg",), dtypes="floating_complex", derivatives={"self": _norm_grad},
    samples=_norm_samples, errors=_norm_errors,
)
def vector_norm(
    self: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Any:
    """(sum |x|^ord)^(1/ord) over dimensions; ord 0 counts what is not zero, infinities take the
    extreme.

    Raises:
        RuntimeError: for integers, or no elements where the norm has no identity.
    """
    if (dtype or self.dtype).category < 2:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{(dtype or self.dtype).name}"
        )
    if dtype is not None:
        self = cast(self, dtype)
    if self.itemsize == 2:  # squares of half precision overflow
        return vector_norm(self.float(), ord, dim, keepdim).to(self.dtype)
    if ord == 2 and not self.dtype.is_complex:
        return sqrt(sum(self * self, dim, keepdim))
    size = abs(self)
    if math.isinf(ord):
        _check_identity(self, ord, dim)
        return (amax if ord > 0 else amin)(size, dim, keepdim)
    if ord == 0:
        return sum((size != 0).to(size.dtype), dim, keepdim)
    if ord == 1:
        return sum(size, dim, keepdim)
    return pow(sum(pow(size, ord), dim, keepdim), 1 / ord)


def _check_identity(self: Tensor, ord: float, dim: Any) -> None:
    dims = reduced_dims(dim, self.ndim)
    if not product(self.shape if dims is None else [self.shape[d] for d in dims]):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the "
            "operation does not have an identity"
        )


@composite(
    "norm(Tensor self, Any p='fro', int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) "
    "-> Tensor",
    dtypes="floating_complex",
    samples=lambda make: iter([sample(make(3, 4)), sample(make(3, 4), 1, 0),
                               sample(make(3, 4), "fro", (0, 1)), sample(make(3), math.inf)]),
    errors=lambda make: iter([error(RuntimeError, "floating point or complex", make.index(4, 3)),
                              error(ValueError, "norm", make(3), "other")]),
)
def norm(
    self: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Any:
    """The p-norm of the elements, over all dimensions or some; "fro" is 2, "nuc" of a matrix the
    sum of its singular values."""
    if p == "nuc":
        from flambeau.registry import OPS

        return OPS["matrix_norm"].function(self, "nuc", dim or (-2, -1), keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: the order must be a number, 'fro' or 'nuc', not {p!r}")
    order = 2 if p is None or p == "fro" else p
    return vector_norm(self, order, dim, keepdim, dtype=dtype)


def _distance_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(3, 4))
    yield sample(make(3, 4), make(4), 1)


@composite(
    "dist(Tensor self, Tensor other, Scalar p=2) -> Tensor", dtypes="floating_complex", out=False,
    samples=_distance_samples,
    errors=lambda make: iter([error(RuntimeError, "must match the size", make(3), make(2))]),
)
def dist(self: Tensor, other: Tensor, p: Any = 2) -> Any:
    """The p-norm of the difference."""
    return vector_norm(self - other, p)


# ---- renorm ------------------------------------------------------------------------------------
@composite(
    "renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor", inplace=True,
    dtypes="floating_complex",
    samples=lambda make: iter([
        sample(make(3, 4), 2, 0, 1.5), sample(make(2, 3, 4), 1, -1, 3),
        sample(make(3, 4), math.inf, 1, 0.5)]),
    errors=lambda make: iter([
        error(RuntimeError, "non-positive-norm", make(3, 4), 0, 0, 1),
        error(RuntimeError, "at least 2 dimensions", make(3), 2, 0, 1),
        error(RuntimeError, "maxnorm to be >= 0", make(3, 4), 2, 0, -1)]),
)
def renorm(self: Tensor, p: Any, dim: int, maxnorm: Any) -> Any:
    """Slices along ``dim`` whose p-norm is greater than ``maxnorm`` are scaled down to it."""
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if self.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {self.ndim} dimensions")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    others = [d for d in range(self.ndim) if d != wrap_dim(dim, self.ndim)]
    norm = vector_norm(self, p, others, keepdim=True)
    return self * where(norm > maxnorm, maxnorm / (norm + 1e-7), 1.0).to(self.dtype)
