"""Rounding and division with rounding."""

from __future__ import annotations

from typing import Any

from flambeau.ops.compare import where
from flambeau.ops.pointwise import floor, neg, remainder, round_half_even, true_divide
from flambeau.promotion import computation_type
from flambeau.registry import composite
from flambeau.samples import binary, broadcast_errors, sample, unary, unary_errors
from flambeau.tensor import Tensor


@composite("ceil(Tensor self) -> Tensor", dtypes="real", inplace=True, samples=unary(),
           errors=unary_errors)
def ceil(self: Tensor) -> Tensor:
    """The smallest integer not below each value."""
    if self.dtype.category < 2:
        return self.clone()  # type: ignore[no-any-return]
    result: Tensor = neg(floor(neg(self)))
    return result


@composite("trunc(Tensor self) -> Tensor", dtypes="real", inplace=True, samples=unary(),
           errors=unary_errors, aliases=("fix",))
def trunc(self: Tensor) -> Tensor:
    """The integer part, rounded towards 0."""
    if self.dtype.category < 2:
        return self.clone()  # type: ignore[no-any-return]
    result: Tensor = where(self < 0, ceil(self), floor(self))
    return result


@composite(
    "floor_divide(Operand self, Operand other) -> Tensor", dtypes="real", inplace=True,
    samples=binary(0.5, 2), errors=broadcast_errors, aliases=("__floordiv__",),
)
def floor_divide(self: Any, other: Any) -> Tensor:
    """The quotient rounded down."""
    if computation_type(self, other).category < 2:
        return _exact_quotient(self, other, remainder(self, other))
    result: Tensor = floor(true_divide(self, other))
    return result


def trunc_divide(self: Any, other: Any) -> Tensor:
    """The quotient rounded towards 0."""
    if computation_type(self, other).category < 2:
        from flambeau.ops.pointwise import abs, sign

        rest = remainder(abs(self), abs(other)) * sign(self)
        return _exact_quotient(self, other, rest)
    result: Tensor = trunc(true_divide(self, other))
    return result


def _exact_quotient(self: Any, other: Any, rest: Tensor) -> Tensor:
    """(self - rest) / other for integers, where the division leaves no remainder."""
    if isinstance(other, Tensor) and bool((other == 0).any()):
        raise RuntimeError("ZeroDivisionError")
    if not isinstance(other, Tensor) and other == 0:
        raise RuntimeError("ZeroDivisionError")
    from flambeau import dtypes

    exact: Tensor = true_divide((self - rest).to(dtypes.float64), other)
    return exact.to(rest.dtype)  # type: ignore[no-any-return]


@composite(
    "round(Tensor self, *, int decimals=0) -> Tensor", dtypes="real", inplace=True,
    samples=lambda make: iter([sample(make(3, 4)), sample(make(3, 4), decimals=1)]),
    errors=unary_errors, aliases=("__round__",),
)
def round(self: Tensor, decimals: int = 0) -> Tensor:
    """The nearest number with so many decimals, ties to even."""
    if self.dtype.category < 2:
        return self.clone()  # type: ignore[no-any-return]
    if not decimals:
        whole: Tensor = round_half_even(self)
        return whole
    scale = 10.0 ** abs(decimals)
    scaled = self * scale if decimals > 0 else self / scale
    rounded: Tensor = round_half_even(scaled)
    return rounded / scale if decimals > 0 else rounded * scale


@composite("frac(Tensor self) -> Tensor", inplace=True, samples=unary(), errors=unary_errors)
def frac(self: Tensor) -> Tensor:
    """The part after the point, with the sign of x."""
    return self - trunc(self)


@composite(
    "fmod(Tensor self, Operand other) -> Tensor", dtypes="real", inplace=True,
    samples=binary(0.7, 2), errors=broadcast_errors,
)
def fmod(self: Tensor, other: Any) -> Tensor:
    """The remainder with the sign of the dividend, as C's."""
    from flambeau.ops.pointwise import abs as magnitude

    size = magnitude(other) if isinstance(other, Tensor) else abs(other)
    rest = remainder(magnitude(self), size)
    result: Tensor = where(self < 0, neg(rest), rest)
    return result
