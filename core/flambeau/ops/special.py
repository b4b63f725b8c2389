"""Relatives of the error function.

Formulas: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov, by number.
"""

from __future__ import annotations

import math
from typing import Any

from flambeau.ops.compare import where
from flambeau.ops.pointwise import abs, erf, exp, floor, log1p, sgn, sqrt, to_floating
from flambeau.registry import composite
from flambeau.samples import unary, unary_errors
from flambeau.tensor import Tensor

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)

_SCALED_ERFC = (
    1.2375126308378275, -0.14024059858554674, 0.0035854154854639947, 0.08227673849011752,
    -0.10880393014175117, 0.09230432116144294, -0.05869339858885731, 0.028362277400278118,
    -0.009746579577035586, 0.0017556260320963533, 0.00029371387469142674,
    -0.00029015511154243344, 5.164780741855856e-05, 2.238795673013135e-05,
    -1.1439294277760925e-05, -9.82051742210998e-07, 1.740269903212129e-06,
    -4.5210823716014646e-08, -2.4233140808399475e-07, 1.350875974161026e-08,
    2.5265557531642926e-08,
)
"""exp(x^2) erfc(x) (1 + 2x) as a polynomial of (x - 3.75) / (x + 3.75), for x from 0.5 to 28: the
form of M. M. Shepherd and J. G. Laframboise, Math. Comp. 36 (1981) 249-253; the coefficients
interpolate the function at Chebyshev nodes, in 60 digits (tests/unit/ops/derive_erfc.py)."""


def scaled_erfc(x: Tensor) -> Any:
    """exp(x^2) erfc(x) for x >= 0.5."""
    t = (x - 3.75) / (x + 3.75)
    total: Any = _SCALED_ERFC[-1]
    for coefficient in _SCALED_ERFC[-2::-1]:
        total = t * total + coefficient
    return total / (1 + 2 * x)


def exp_minus_square(x: Tensor) -> Any:
    """exp(-x^2), the rounding error of the square taken into account."""
    high = floor(x * 16) / 16  # few bits: its square is exact
    return exp(-high * high) * exp((high - x) * (high + x))


@composite(
    "erfc(Tensor self) -> Tensor",
    formula="erfc(self)",
    namespaces=("", "special"), inplace=True,
    derivatives={"self": lambda g, self: g * (exp(-self * self) * -TWO_OVER_ROOT_PI)},
    samples=unary(), errors=unary_errors,
)
def erfc(self: Tensor) -> Any:
    """1 - erf(x), accurate where it is small (DLMF 7.2.2)."""
    x = to_floating(self)
    size = abs(x)
    tail = where(size > 30, 0.0, exp_minus_square(size) * scaled_erfc(size.clamp(0.5)))
    return where(size < 0.5, 1 - erf(x), where(x < 0, 2 - tail, tail))


def _inverse_formula() -> str:
    """That of :func:`erfinv`, step by step."""
    far = f"h = {2 / (math.pi * 0.147)!r} + l / 2; far = sqrt(sqrt(h * h - l / 0.147) - h)"
    start = f"size * (1 + size * size * {math.pi / 12!r}) / {TWO_OVER_ROOT_PI!r}"
    steps = [
        f"e{k} = size < 0.5 ? erf(x{k}) - size : (1 - size) - erfc(x{k});"
        f"s{k} = e{k} / (exp(-x{k} * x{k}) * {TWO_OVER_ROOT_PI!r});"
        f"x{k + 1} = x{k} - s{k} / (1 + x{k} * s{k})" for k in range(2)]
    return "; ".join([
        "size = abs(self)", "l = log1p(-size) + log1p(size)", far,
        f"x0 = size < 0.1 ? {start} : far", *steps,
        "size == 1 ? self * inf : sign(self) * x2"])


@composite(
    "erfinv(Tensor self) -> Tensor",
    formula=_inverse_formula(),
    namespaces=("", "special"), inplace=True,
    derivatives={"self": lambda g, out: g * (exp(out * out) / TWO_OVER_ROOT_PI)},
    samples=unary(-0.9, 0.9), errors=unary_errors,
)
def erfinv(self: Tensor) -> Any:
    """The inverse of erf; infinite at -1 and 1, NaN beyond.

    A start with 3 digits (S. Winitzki, "A handy approximation for the error function and its
    inverse", 2008), then Halley's iteration, which triples the digits.
    """
    y = to_floating(self)
    size = abs(y)
    logarithm = log1p(-size) + log1p(size)
    half = 2 / (math.pi * 0.147) + logarithm / 2
    far = sqrt(sqrt(half * half - logarithm / 0.147) - half)
    x = where(size < 0.1, size * (1 + size * size * (math.pi / 12)) / TWO_OVER_ROOT_PI, far)
    for _ in range(2):
        excess = where(size < 0.5, erf(x) - size, (1 - size) - erfc(x))
        step = excess / (exp(-x * x) * TWO_OVER_ROOT_PI)
        x = x - step / (1 + x * step)
    return where(size == 1, y * math.inf, sgn(y) * x)
