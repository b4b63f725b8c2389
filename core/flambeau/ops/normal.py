"""The normal distribution's functions, entropies, and the scaled complement of erf."""

from __future__ import annotations

import math
from typing import Any

from flambeau.ops.compare import isnan, where
from flambeau.ops.pointwise import (
    abs,
    as_tensors,
    erf,
    exp,
    floating_type,
    log,
    log1p,
    sqrt,
    to_floating,
)
from flambeau.ops.special import TWO_OVER_ROOT_PI, erfc, scaled_erfc
from flambeau.registry import composite
from flambeau.samples import binary, broadcast_errors, unary, unary_errors
from flambeau.tensor import Tensor

_ROOT_HALF = math.sqrt(0.5)
_ROOT_TAU = math.sqrt(2 * math.pi)


@composite(
    "erfcx(Tensor self) -> Tensor", namespaces=("special",), method=False,
    derivatives={"self": lambda g, self, out: g * (2 * self * out - TWO_OVER_ROOT_PI)},
    samples=unary(-1, 4), errors=unary_errors,
)
def erfcx(self: Tensor) -> Any:
    """exp(x^2) erfc(x), which does not underflow (DLMF 7.2.2)."""
    x = to_floating(self)
    if x.itemsize == 2:
        return erfcx(x.float()).to(x.dtype)
    size = x.clamp(0.5)
    far = 1 / (x * math.sqrt(math.pi))
    return where(x > 1e8, far, where(x > 0.5, scaled_erfc(size), exp(x * x) * erfc(x)))


@composite(
    "ndtr(Tensor self) -> Tensor", namespaces=("special",), method=False,
    derivatives={"self": lambda g, self: g * exp(self * self * -0.5) / _ROOT_TAU},
    samples=unary(), errors=unary_errors,
)
def ndtr(self: Tensor) -> Any:
    """The normal distribution function (DLMF 7.18)."""
    x = to_floating(self) * _ROOT_HALF
    near = 0.5 + 0.5 * erf(x)
    tail = 0.5 * erfc(abs(x))
    return where(abs(x) < _ROOT_HALF, near, where(x > 0, 1 - tail, tail))


@composite(
    "log_ndtr(Tensor self) -> Tensor", namespaces=("special",), method=False,
    derivatives={"self": lambda g, self: g * (
        math.sqrt(2 / math.pi) / erfcx(self * -_ROOT_HALF))},
    samples=unary(), errors=unary_errors,
)
def log_ndtr(self: Tensor) -> Any:
    """The logarithm of the normal distribution function, exact in the far left tail."""
    x = to_floating(self)
    if x.itemsize == 2:
        return log_ndtr(x.float()).to(x.dtype)
    t = x * _ROOT_HALF
    left = log(erfcx(-t) * 0.5) - t * t
    return where(x < -1, left, log1p(erfc(t) * -0.5))


@composite(
    "ndtri(Tensor self) -> Tensor", namespaces=("special",), method=False,
    derivatives={"self": lambda g, out: g * (_ROOT_TAU * exp(out * out * 0.5))},
    samples=unary(0.1, 0.9), errors=unary_errors,
)
def ndtri(self: Tensor) -> Any:
    """The inverse of the normal distribution function; NaN outside [0, 1].

    A start with 3 digits (M. Abramowitz and I. Stegun, Handbook of Mathematical Functions,
    26.2.22), then Halley's iteration, which triples the digits.
    """
    p = to_floating(self)
    if p.itemsize == 2:
        return ndtri(p.float()).to(p.dtype)
    low = where(p > 0.5, 1 - p, p)
    t = sqrt(log(low) * -2)
    x = (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t)) - t
    for _ in range(3):
        step = (0.5 * erfc(x * -_ROOT_HALF) - low) * (_ROOT_TAU * exp(x * x * 0.5))
        x = x - step / (1 + 0.5 * x * step)
    x = where(low == 0.5, 0.0, x)
    x = where(p > 0.5, -x, x)
    return where(p == 0, -math.inf, where(p == 1, math.inf, x))


@composite(
    "entr(Tensor self) -> Tensor", namespaces=("special",), method=False,
    derivatives={"self": lambda g, self: g * where(self < 0, math.nan, -1 - log(self))},
    samples=unary(0.2, 3), errors=unary_errors,
)
def entr(self: Tensor) -> Any:
    """-x log(x); 0 at 0, and -inf below."""
    x = to_floating(self)
    inside = where(x == 0, 0.0, -x * log(x))
    return where(isnan(x), x, where(x < 0, -math.inf, inside))


@composite(
    "xlog1py(Operand self, Operand other) -> Tensor", namespaces=("special",), method=False,
    derivatives={
        "self": lambda g, self, other: where(
            (self == 0) & (other <= -1), 0.0, xlog1py(g, other)),
        "other": lambda g, self, other: g * self / (other + 1)},
    samples=binary(0.2, 2), errors=broadcast_errors,
)
def xlog1py(self: Any, other: Any) -> Any:
    """x log(1 + y), and 0 where x is 0 unless y is NaN."""
    x, y = as_tensors(self, other, floating_type(self, other))
    return where((x == 0) & ~isnan(y), 0.0, x * log1p(y))
