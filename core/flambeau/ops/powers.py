"""Powers, roots, logarithms to other bases, and sums of products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.ops.compare import where
from flambeau.ops.pointwise import log, sqrt, true_divide
from flambeau.registry import composite
from flambeau.samples import (
    Make,
    Sample,
    binary,
    broadcast_errors,
    error,
    sample,
    unary,
    unary_errors,
)
from flambeau.tensor import Tensor

_LN2, _LN10 = 0.6931471805599453, 2.302585092994046


def _facts(low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"samples": unary(low, high), "errors": unary_errors, "inplace": True}


@composite(
    "square(Tensor self) -> Tensor", dtypes="numeric",
    derivatives={"self": lambda g, self: g * (2 * self).conj()}, **_facts(),
)
def square(self: Tensor) -> Tensor:
    """x * x."""
    return self * self


@composite(
    "reciprocal(Tensor self) -> Tensor",
    derivatives={"self": lambda g, out: -g * (out * out).conj()}, **_facts(0.5, 2),
)
def reciprocal(self: Tensor) -> Tensor:
    """1 / x."""
    result: Tensor = true_divide(1, self)
    return result


@composite(
    "rsqrt(Tensor self) -> Tensor",
    derivatives={"self": lambda g, out: g * (-0.5 * out * out * out).conj()}, **_facts(0.5, 2),
)
def rsqrt(self: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    result: Tensor = true_divide(1, sqrt(self))
    return result


@composite("exp2(Tensor self) -> Tensor", **_facts())
def exp2(self: Tensor) -> Tensor:
    """2 to the power of x."""
    x = self if self.dtype.category >= 2 else self.to(dtypes.get_default_dtype())
    result: Tensor = 2.0**x
    return result


@composite(
    "log2(Tensor self) -> Tensor",
    derivatives={"self": lambda g, self: g / (self * _LN2).conj()}, **_facts(0.1, 4),
)
def log2(self: Tensor) -> Tensor:
    """The logarithm to base 2."""
    return log(self) * (1 / _LN2)  # type: ignore[no-any-return]


@composite(
    "log10(Tensor self) -> Tensor",
    derivatives={"self": lambda g, self: g / (self * _LN10).conj()}, **_facts(0.1, 4),
)
def log10(self: Tensor) -> Tensor:
    """The logarithm to base 10."""
    return log(self) * (1 / _LN10)  # type: ignore[no-any-return]


def _three(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(3, 4), make(3, 4, low=0.5, high=2))
    yield sample(make(3, 4), make(4), make(3, 1, low=0.5, high=2), value=0.5)


@composite(
    "addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    dtypes="numeric", inplace=True, samples=_three,
    errors=lambda make: iter([error(RuntimeError, "must match", make(3), make(4), make(3))]),
)
def addcmul(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: Any = 1) -> Tensor:
    """``self + value * tensor1 * tensor2``."""
    product = tensor1 * tensor2
    return self + (product if value == 1 else product * value)


@composite(
    "addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    inplace=True, samples=_three,
    errors=lambda make: iter([error(RuntimeError, "must match", make(3), make(4), make(3))]),
)
def addcdiv(self: Tensor, tensor1: Tensor, tensor2: Tensor, value: Any = 1) -> Tensor:
    """``self + value * tensor1 / tensor2``."""
    quotient = tensor1 / tensor2
    return self + (quotient if value == 1 else quotient * value)


@composite(
    "lerp(Tensor self, Tensor end, Operand weight) -> Tensor", inplace=True,
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4), 0.3), sample(make(3, 4), make(4), make(3, 4))]),
    errors=lambda make: iter([error(RuntimeError, "must match", make(3), make(4), 0.5)]),
)
def lerp(self: Tensor, end: Tensor, weight: Any) -> Tensor:
    """``self + weight * (end - self)``, computed from the nearer end."""
    near = self + (end - self) * weight
    far = end - (end - self) * (1 - weight)
    if isinstance(weight, Tensor):
        chosen: Tensor = where(weight.abs() < 0.5, near, far)
        return chosen
    return near if abs(weight) < 0.5 else far


@composite(
    "hypot(Tensor self, Tensor other) -> Tensor", inplace=True, samples=binary(0.5, 2),
    errors=broadcast_errors,
)
def hypot(self: Tensor, other: Any) -> Tensor:
    """sqrt(self^2 + other^2)."""
    result: Tensor = sqrt(self * self + other * other)
    return result


def _norm_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4))
    yield sample(make(3, 4), 2, 1)
    yield sample(make(3, 4), 1, 0, True)
    yield sample(make(3, 4), float("inf"))
    yield sample(make(3, 4), 3.0, (0, 1))


def _norm_grad(
    g: Tensor, self: Tensor, out: Tensor, p: Any, dim: Any, keepdim: bool
) -> Tensor:
    """d |x|_p = sign(x) |x|^(p-1) / |x|_p^(p-1), 0 where the norm is 0."""
    from flambeau.ops.pointwise import sgn
    from flambeau.ops.reduce import restore_dims

    g, whole = (restore_dims(t, self.shape, dim, keepdim) for t in (g, out))
    if p in (float("inf"), float("-inf")):
        hit = self.abs() == whole
        dims = dim if dim is not None else tuple(range(self.ndim))
        share = hit / hit.sum(dims, keepdim=True) if self.ndim else hit
        return sgn(self) * share * g  # type: ignore[no-any-return]
    if p == 0:
        return self * 0
    if p == 1:
        return sgn(self) * g  # type: ignore[no-any-return]
    zero = whole == 0
    if p == 2:
        return where(zero, 0.0, self / where(zero, 1.0, whole)) * g  # type: ignore[no-any-return]
    ratio = self.abs() / where(zero, 1.0, whole)
    slope = where(ratio == 0, 0.0, where(ratio == 0, 1.0, ratio) ** (p - 1))
    return sgn(self) * slope * where(zero, 0.0, g)  # type: ignore[no-any-return]


@composite(
    "vector_norm(Tensor self, Scalar p=2, int[]? dim=None, bool keepdim=False, *, "
    "dtype? dtype=None) -> Tensor",
    namespaces=("linalg",), derivatives={"self": _norm_grad}, samples=_norm_samples,
    errors=lambda make: iter([error(IndexError, "Dimension out of range", make(3), 2, 1)]),
)
def vector_norm(
    self: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The p-norm of the elements: (sum |x|^p)^(1/p)."""
    if dtype is not None:
        self = self.to(dtype)
    size = self.abs()
    if p == 2:
        result: Tensor = (size * size).sum(dim, keepdim).sqrt()
        return result
    if p == 1:
        return size.sum(dim, keepdim)  # type: ignore[no-any-return]
    if p == 0:
        return (size != 0).to(size.dtype).sum(dim, keepdim)  # type: ignore[no-any-return]
    if p == float("inf"):
        return size.amax(dim, keepdim)  # type: ignore[no-any-return]
    if p == float("-inf"):
        return size.amin(dim, keepdim)  # type: ignore[no-any-return]
    return (size**p).sum(dim, keepdim) ** (1 / p)  # type: ignore[no-any-return]


@composite(
    "norm(Tensor self, Any p='fro', Any dim=None, bool keepdim=False, dtype? dtype=None) "
    "-> Tensor",
    samples=lambda make: iter([sample(make(3, 4)), sample(make(3, 4), 2, 1)]),
    errors=lambda make: iter([error(IndexError, "Dimension out of range", make(3), 2, 1)]),
)
def norm(
    self: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The p-norm of the elements, over some dimensions; "fro" is 2."""
    if p == "nuc":
        raise NotImplementedError("norm: the nuclear norm needs singular values")
    order = 2 if p in ("fro", None) else p
    result: Tensor = vector_norm(self, float(order), dim, keepdim, dtype=dtype)
    return result
