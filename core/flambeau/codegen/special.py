"""erf, erfc and lgamma of float64, within 1 ulp, without scipy.

libm's erfc (2.1 ulp in glibc) and Python's ``math.lgamma`` (thousands of ulp around its zeros) are
too coarse for an oracle.  Decimal arithmetic of 50 digits costs tens of microseconds per value.

Formulas: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov, by number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Final, ParamSpec

_P = ParamSpec("_P")

_CONTEXT: Final = Context(prec=50, Emin=-(10**9), Emax=10**9)
_EPSILON: Final = Decimal("1e-50")
_PI: Final = Decimal("3.14159265358979323846264338327950288419716939937510582")


def _precise(function: Callable[_P, Decimal]) -> Callable[_P, float]:
    """Run in 50 digits and round the result to float64."""

    @functools.wraps(function)
    def run(*arguments: _P.args, **keywords: _P.kwargs) -> float:
        with localcontext(_CONTEXT):
            return float(function(*arguments, **keywords))

    return run


def erf(x: float) -> float:
    """The error function."""
    if abs(x) > 6 or x == 0 or math.isnan(x):
        return math.erf(x)
    return _erf(x)


def erfc(x: float) -> float:
    """The complementary error function 1 - erf(x), with full relative accuracy."""
    if math.isnan(x) or x < -6 or x > 28:
        return math.erfc(x)
    return _erfc_fraction(x) if x > 3 else _erfc_series(x)


def lgamma(x: float) -> float:
    """The natural logarithm of the absolute value of gamma(x); inf at its poles."""
    if math.isnan(x):
        return x
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    return _lgamma(x)


def _erf_decimal(x: float) -> Decimal:
    """DLMF 7.6.2: all terms have one sign, so nothing cancels."""
    z = Decimal(x)
    square = 2 * z * z
    term = total = 2 * z * (-z * z).exp() / _PI.sqrt()
    n = 1
    while abs(term) > _EPSILON * abs(total):
        term = term * square / (2 * n + 1)
        total += term
        n += 1
    return total


_erf = _precise(_erf_decimal)


@_precise
def _erfc_series(x: float) -> Decimal:
    return 1 - _erf_decimal(x)


@_precise
def _erfc_fraction(x: float) -> Decimal:
    """DLMF 7.9.3 at ix, from the tail up; for x > 3, 200 levels are more than 30 digits."""
    z = Decimal(x)
    tail = z
    for n in range(200, 0, -1):
        tail = z + Decimal(n) / 2 / tail
    return (-z * z).exp() / (_PI.sqrt() * tail)


@_precise
def _lgamma(x: float) -> Decimal:
    if x >= 0.5:
        return _lgamma_right(Decimal(x))
    # DLMF 5.5.3, reflection: gamma(x) gamma(1 - x) = pi / sin(pi x)
    turn = Decimal(math.fmod(abs(x), 1.0))
    return (_PI / _sin(_PI * min(turn, 1 - turn))).ln() - _lgamma_right(1 - Decimal(x))


def _lgamma_right(z: Decimal) -> Decimal:
    """DLMF 5.11.1, Stirling's series, where z is large; smaller ones are stepped up by 5.5.1."""
    product = Decimal(1)
    while z < 30:
        product *= z
        z += 1
    tail = Decimal(0)
    for coefficient in reversed(_stirling()):
        tail = tail / (z * z) + coefficient
    return (z - Decimal("0.5")) * z.ln() - z + (2 * _PI).ln() / 2 + tail / z - product.ln()


@functools.cache
def _stirling() -> tuple[Decimal, ...]:
    """B(2k) / (2k (2k - 1)), k from 1 to 24, B being Bernoulli's numbers (DLMF 24.2)."""
    numbers = [Fraction(1)]
    for m in range(1, 49):
        total = sum((math.comb(m + 1, j) * b for j, b in enumerate(numbers)), Fraction(0))
        numbers.append(-total / (m + 1))
    terms = (numbers[n] / (n * (n - 1)) for n in range(2, 49, 2))
    with localcontext(_CONTEXT):
        return tuple(Decimal(t.numerator) / Decimal(t.denominator) for t in terms)


def _sin(angle: Decimal) -> Decimal:
    """The sine of an angle from 0 to pi / 2, by its series."""
    term = total = angle
    n = 1
    while abs(term) > _EPSILON * total:
        term = -term * angle * angle / ((n + 1) * (n + 2))
        total += term
        n += 2
    return total
