"""``a * b + c`` of whole arrays, rounded once.

NumPy has no fused multiply-add.  Sums and products of float64 are split into the rounded value and
its exact error (T. J. Dekker, "A floating-point technique for extending the available precision",
Numerische Mathematik 18, 1971), and rounded to odd in between (S. Boldo and G. Melquiond,
"Emulation of a FMA and correctly rounded sums", IEEE Transactions on Computers 57, 2008).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_SPLITTER: Final = 2.0**27 + 1
_LARGE: Final = 2.0**500
_SMALL: Final = 2.0**-450
"""Where operands are between these (or zero), no part of the computation over- or underflows."""


def fma(a: Array, b: Array, c: Array) -> Array:
    """Of float64, rounded once to float64."""
    shape = np.broadcast_shapes(*(np.shape(x) for x in (a, b, c)))
    a, b, c = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, np.float64)) for x in (a, b, c)))
    plain = np.asarray(a * b + c)
    is_safe = _is_moderate(a) & _is_moderate(b) & _is_moderate(c)
    is_finite = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    is_infinite_c = np.isfinite(a) & np.isfinite(b) & np.isinf(c)
    moderate = _fma_of_moderate(a, b, c)
    moderate = np.where(moderate == 0, plain, moderate)  # exact, and the sign is IEEE 754's
    result = np.where(is_safe, moderate, np.where(is_infinite_c, c, plain))
    at = np.nonzero(is_finite & ~is_safe)
    result[at] = [fma_of_numbers(*item) for item in zip(a[at], b[at], c[at], strict=True)]
    return result.reshape(shape)


def fma_to_odd(a: Array, b: Array, c: Array) -> Array:
    """Of values of at most 26 significant bits: inexact results get an odd last bit.

    Rounding to a narrower type after that is rounding once.
    """
    return _sum_to_odd(np.multiply(a, b), np.asarray(c))


def fma_of_numbers(a: float, b: float, c: float) -> float:
    """Of finite numbers, by exact fractions: any magnitudes, slow."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:
        return float(a * b + c)  # nothing is lost, and the sign of the zero is IEEE 754's
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def _is_moderate(x: Array) -> Array:
    magnitude = np.abs(x)
    return np.asarray((magnitude < _LARGE) & (magnitude > _SMALL) | (x == 0))


def _fma_of_moderate(a: Array, b: Array, c: Array) -> Array:
    product, product_error = _two_product(a, b)
    low, low_error = _two_sum(c, product_error)
    high, high_error = _two_sum(product, low)
    return np.asarray(high + _sum_to_odd(low_error, high_error))


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    product = np.multiply(a, b)
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _split(x: Array) -> tuple[Array, Array]:
    scaled = _SPLITTER * x
    high = scaled - (scaled - x)
    return high, x - high


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = np.asarray(a + b)
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _sum_to_odd(a: Array, b: Array) -> Array:
    total, error = _two_sum(a, b)
    is_even = (np.ascontiguousarray(total).view(np.int64) & 1 == 0).reshape(total.shape)
    is_inexact = np.isfinite(total) & (error != 0)
    other = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where(is_even & is_inexact, other, total)
