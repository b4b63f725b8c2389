"""Rounding, and division with rounding and remainders."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.formulas import for_floats, for_reals
from flambeau.ops.compare import where
from flambeau.ops.pointwise import (
    abs,
    as_tensors,
    floor,
    remainder,
    round_half_even,
    sign,
    true_divide,
    zeros_like_gradient,
)
from flambeau.promotion import computation_type
from flambeau.registry import composite
from flambeau.samples import (
    ErrorSample,
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


# ---- to integral values ------------------------------------------------------------------------
def _rounding_errors(make: Make) -> Iterator[ErrorSample]:
    yield from unary_errors(make)
    yield error(RuntimeError, "complex", make(3).to(dtypes.complex64))


def _refuse_complex(name: str, self: Tensor) -> None:
    if self.dtype.is_complex:
        raise RuntimeError(f"{name} is not supported for complex inputs")


@composite(
    "ceil(Tensor self) -> Tensor",
    formula=for_reals("ceil(self)"), template="unary", dtypes="real", inplace=True,
    derivatives={"self": zeros_like_gradient}, samples=unary(), errors=_rounding_errors,
    aliases=("__ceil__",),
)
def ceil(self: Tensor) -> Any:
    """The smallest integer not below each value."""
    _refuse_complex("ceil", self)
    return self.clone() if self.dtype.category < 2 else -floor(-self)


@composite(
    "trunc(Tensor self) -> Tensor",
    formula=for_reals("trunc(self)"), template="unary",
    dtypes="real", inplace=True, aliases=("fix", "__trunc__"),
    derivatives={"self": zeros_like_gradient}, samples=unary(), errors=_rounding_errors,
)
def trunc(self: Tensor) -> Any:
    """The integer part, rounded towards 0."""
    _refuse_complex("trunc", self)
    return self.clone() if self.dtype.category < 2 else where(self < 0, ceil(self), floor(self))


@composite(
    "frac(Tensor self) -> Tensor",
    formula=for_floats("self - trunc(self)"),
    inplace=True, derivatives={"self": lambda g: g},
    samples=unary(), errors=_rounding_errors,
)
def frac(self: Tensor) -> Any:
    """The part behind the point, with the sign of the value."""
    if self.dtype.category != 2:
        raise RuntimeError(f"frac is not implemented for {self.dtype.name}")
    return self - trunc(self)


def _round_samples(make: Make) -> Iterator[Sample]:
    yield from unary()(make)
    if make.dtype.is_floating_point:
        yield sample(make(3, 4), decimals=1)
        yield sample(make(3, 4, low=-200, high=200), decimals=-1)


def _round_formula(self: Any, decimals: int) -> str | None:
    if not decimals:
        return None if self.dtype.is_complex else "round(self)"
    scale = repr(10.0 ** builtins.abs(decimals))
    if self.dtype.category != 2:
        return None
    return f"round(self * {scale}) / {scale}" if decimals > 0 else (
        f"round(self / {scale}) * {scale}")


@composite(
    "round(Tensor self, *, int decimals=0) -> Tensor",
    formula=_round_formula,
    namespaces=("", "special"), dtypes="real",
    inplace=True, derivatives={"self": zeros_like_gradient}, samples=_round_samples,
    errors=_rounding_errors,
)
def round(self: Tensor, decimals: int = 0) -> Any:
    """The nearest number of so many decimals (before the point if negative), ties to even."""
    _refuse_complex("round", self)
    if not decimals:
        return round_half_even(self)
    if self.dtype.category < 2:
        raise NotImplementedError(f"round with decimals is not implemented for {self.dtype.name}")
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    if decimals > 0:
        return round_half_even(self * scale) / scale
    return round_half_even(self / scale) * scale


# ---- quotients ---------------------------------------------------------------------------------
def _check_divisor(other: Any) -> None:
    """Integer division by zero has no result.

    Raises:
        RuntimeError: "ZeroDivisionError", as PyTorch calls it.
    """
    if isinstance(other, Tensor):
        divides = other.device.type == "meta" or not bool((other == 0).any())
    else:
        divides = other != 0
    if not divides:
        raise RuntimeError("ZeroDivisionError")


def _no_gradient(g: Tensor) -> Any:
    return zeros_like_gradient(g)


@composite(
    "floor_divide(Operand self, Operand other) -> Tensor",
    formula=for_floats("floor_divide(self, other)"), template="binary",
    dtypes="real", inplace=True,
    derivatives={"self": _no_gradient, "other": _no_gradient}, aliases=("__floordiv__",),
    samples=binary(0.5, 2), errors=broadcast_errors,
)
def floor_divide(self: Any, other: Any) -> Any:
    """The quotient rounded down."""
    compute = computation_type(self, other)
    if compute.category < 2:
        _check_divisor(other)
        return _exact_quotient(self, other, remainder(self, other), compute)
    a, b = as_tensors(self, other, compute)
    # Rounding a / b itself would be off by one where it is rounded up to an integer.
    rest = fmod(a, b)
    wrong_side = (rest != 0) & ((rest < 0) ^ (b < 0))
    quotient = true_divide(a - rest, b) - wrong_side.to(compute)
    return where(b == 0, true_divide(a, b), floor(quotient + 0.5))


@composite(
    "trunc_divide(Operand self, Operand other) -> Tensor",
    formula=for_floats("trunc_divide(self, other)"), template="binary",
    namespaces=("_internal",),
    dtypes="real", derivatives={"self": _no_gradient, "other": _no_gradient},
    samples=binary(0.5, 2), errors=broadcast_errors,
)
def trunc_divide(self: Any, other: Any) -> Any:
    """The quotient rounded towards 0."""
    compute = computation_type(self, other)
    if compute.category < 2:
        _check_divisor(other)
        return _exact_quotient(self, other, fmod(self, other), compute)
    return trunc(true_divide(self, other))


def _exact_quotient(self: Any, other: Any, rest: Tensor, compute: dtypes.dtype) -> Any:
    """(self - rest) / other for integers, where the division leaves no remainder.

    A double holds 53 bits: the first quotient is off by at most 2^11, and dividing what it
    leaves, which is computed exactly modulo 2^64, finds by how much.  Single precision, with 24
    bits, is off by 2^40 at first, then by 2^17, then by nothing.
    """
    if not compute.is_signed:  # what the first quotient leaves may be negative
        self, other, rest = (
            v.to(dtypes.int16) if isinstance(v, Tensor) else v for v in (self, other, rest))
        return _exact_quotient(self, other, rest, dtypes.int16).to(compute)

    real = rest._kind.widest_real()

    def wide(v: Any) -> Any:
        return v.to(real) if isinstance(v, Tensor) else float(v)

    def near(top: Any) -> Any:
        return round_half_even(true_divide(top, wide(other))).to(compute)

    quotient = near(wide(self) - wide(rest))
    for _ in range(1 if real is dtypes.float64 else 2):
        quotient = quotient + near(wide(self - rest - quotient * other))
    return quotient


@composite(
    "fmod(Tensor self, Operand other) -> Tensor",
    formula=for_floats("fmod(self, other)"), template="binary", dtypes="real", inplace=True,
    derivatives={"self": lambda g: g,
                 "other": lambda g, self, other: -g * trunc_divide(self, other)},
    samples=binary(0.7, 2), errors=broadcast_errors,
)
def fmod(self: Tensor, other: Any) -> Any:
    """The remainder with the sign of the dividend, as C's ``fmod``."""
    if computation_type(self, other).category < 2:
        _check_divisor(other)
        rest = remainder(self, other)  # abs(self) would not do: the least integer has none
        return where((rest != 0) & ((rest < 0) != (self < 0)), rest - other, rest)
    size = abs(other) if isinstance(other, Tensor) else other if other > 0 else -other
    return remainder(abs(self), size) * sign(self)


@composite(
    "rfloordiv(Tensor self, Operand other) -> Tensor", namespaces=("_internal",),
    aliases=("__rfloordiv__",), samples=lambda make: iter([sample(make(3, 4, low=0.5), 2.0)]),
)
def rfloordiv(self: Tensor, other: Any) -> Any:
    """``other // self``."""
    return floor_divide(other, self)


@composite(
    "rmod(Tensor self, Operand other) -> Tensor", namespaces=("_internal",),
    aliases=("__rmod__",), samples=lambda make: iter([sample(make(3, 4, low=0.5), 2.0)]),
)
def rmod(self: Tensor, other: Any) -> Any:
    """``other % self``."""
    return remainder(other, self)
