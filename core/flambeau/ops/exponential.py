"""Logarithms, exponentials of other bases, and functions made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau.formulas import Formula, for_reals
from flambeau.ops.compare import eq, isnan, where
from flambeau.ops.complex import real
from flambeau.ops.pointwise import (
    abs,
    as_tensors,
    conj_of,
    exp,
    floating_type,
    log,
    log1p,
    maximum,
    pow,
    to_floating,
)
from flambeau.registry import composite
from flambeau.samples import (
    Make,
    Sample,
    binary,
    broadcast_errors,
    of_tensors,
    sample,
    unary,
    unary_errors,
)
from flambeau.tensor import Tensor

LN2, LN10 = math.log(2), math.log(10)


@composite(
    "exp2(Tensor self) -> Tensor",
    formula=for_reals("exp2(self)"), template="unary",
    namespaces=("", "special"), dtypes="floating_complex",
    inplace=True,
    derivatives={"self": lambda g, out: g * conj_of(out * LN2)},
    samples=unary(), errors=unary_errors,
)
def exp2(self: Tensor) -> Any:
    """2 to the power of x."""
    return pow(2.0, to_floating(self))


@composite(
    "log2(Tensor self) -> Tensor",
    formula=for_reals("log2(self)"), template="unary", dtypes="floating_complex", inplace=True,
    derivatives={"self": lambda g, self: g / conj_of(self * LN2)},
    samples=unary(0.1, 4), errors=unary_errors,
)
def log2(self: Tensor) -> Any:
    """The logarithm to base 2."""
    return log(self) / LN2


@composite(
    "log10(Tensor self) -> Tensor",
    formula=f"log(self) / {LN10!r}", template="unary", dtypes="floating_complex", inplace=True,
    derivatives={"self": lambda g, self: g / conj_of(self * LN10)},
    samples=unary(0.1, 4), errors=unary_errors,
)
def log10(self: Tensor) -> Any:
    """The logarithm to base 10."""
    return log(self) / LN10


def _sum_formula(power: str, scale: str) -> Formula:
    """That of :func:`_log_of_sum` for real numbers."""
    return for_reals(
        "m = maximum(self, other); self == other && abs(m) == inf ? m : "
        f"m + log1p({power}) / {scale}")


def _log_of_sum(a: Tensor, b: Tensor, base: float) -> Any:
    """log_base(base^a + base^b); the greater is taken out, so that nothing overflows."""
    if floating_type(a, b).is_complex:
        a_first = real(a) >= real(b)
        greater, difference = where(a_first, a, b), where(a_first, b - a, a - b)
    else:
        greater, difference = maximum(a, b), -abs(a - b)
    rest = log1p(exp(difference * math.log(base))) / math.log(base)
    # Two infinities of one sign: their difference is NaN.
    return where(eq(a, b) & (abs(greater) == math.inf), greater, greater + rest)


def _share(x: Tensor) -> Any:
    """1 / (1 + exp(-x)), whose derivatives do not overflow either."""
    if not x.dtype.is_complex:
        from flambeau.ops.activation import sigmoid

        return sigmoid(x)
    ahead = real(x) > 0
    small = exp(where(ahead, -x, x))
    return where(ahead, 1.0, small) / (1 + small)


@composite(
    "logaddexp(Tensor self, Tensor other) -> Tensor",
    formula=_sum_formula("exp(-abs(self - other))", "1"), template="binary",
    dtypes="floating_complex",
    derivatives={"self": lambda g, self, other: g * conj_of(_share(self - other)),
                 "other": lambda g, self, other: g * conj_of(_share(other - self))},
    samples=of_tensors, errors=broadcast_errors,
)
def logaddexp(self: Tensor, other: Tensor) -> Any:
    """log(exp(a) + exp(b)), without overflow."""
    return _log_of_sum(self, other, math.e)


@composite(
    "logaddexp2(Tensor self, Tensor other) -> Tensor",
    formula=_sum_formula(f"exp(-abs(self - other) * {LN2!r})", repr(LN2)), template="binary",
    derivatives={"self": lambda g, self, other: g * _share((self - other) * LN2),
                 "other": lambda g, self, other: g * _share((other - self) * LN2)},
    samples=of_tensors, errors=broadcast_errors,
)
def logaddexp2(self: Tensor, other: Tensor) -> Any:
    """log2(2^a + 2^b), without overflow."""
    return _log_of_sum(self, other, 2.0)


def _xlogy_samples(make: Make) -> Iterator[Sample]:
    yield from binary(0.5, 2)(make)
    yield sample(make(3, 4) * 0, make(3, 4, low=0.5, high=2))


def _xlogy_self(g: Tensor, self: Any, other: Any) -> Any:
    nothing = (self == 0) & (other <= 0)
    return where(nothing, 0.0, xlogy(g, other))


@composite(
    "xlogy(Operand self, Operand other) -> Tensor",
    formula=for_reals("self == 0 && !isnan(other) ? 0 : self * log(other)"),
    namespaces=("", "special"), inplace=True,
    derivatives={"self": _xlogy_self, "other": lambda g, self, other: g * self / other},
    samples=_xlogy_samples, errors=broadcast_errors,
)
def xlogy(self: Any, other: Any) -> Any:
    """x log(y), and 0 where x is 0 unless y is NaN."""
    x, y = as_tensors(self, other, floating_type(self, other))
    return where((x == 0) & ~isnan(y), 0.0, x * log(y))


def _logit_samples(make: Make) -> Iterator[Sample]:
    yield from unary(0.1, 0.9)(make)
    yield sample(make(3, 4, low=0.0, high=1.0), 0.2)


def _logit_formula(self: Any, eps: float | None) -> str | None:
    if self.dtype.is_complex:
        return None
    limited = "self" if eps is None else "minimum(maximum(self, eps), 1 - eps)"
    return f"x = {limited}; log(x / (1 - x))"


def _logit_grad(g: Tensor, self: Tensor, eps: float | None) -> Any:
    low, high = (0.0, 1.0) if eps is None else (eps, 1 - eps)
    inside = (self >= low) & (self <= high)
    return where(inside, g / (self * (1 - self)), math.nan if eps is None else 0.0)


@composite(
    "logit(Tensor self, float? eps=None) -> Tensor",
    formula=_logit_formula,
    namespaces=("", "special"), inplace=True,
    derivatives={"self": _logit_grad}, samples=_logit_samples, errors=unary_errors,
)
def logit(self: Tensor, eps: float | None = None) -> Any:
    """log(x / (1 - x)); x is first brought to [eps, 1 - eps] if ``eps`` is given."""
    x = to_floating(self)
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    return log(x / (1 - x))
