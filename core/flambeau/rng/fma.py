"""Correctly rounded ``a*b + c`` without the hardware instruction.

PyTorch's kernels are compiled with fused multiply-add, so the same bits need the same single
rounding.  NumPy has no ``fma``; these are built from ordinary float64 operations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flambeau.rng.types import F32, F64

if TYPE_CHECKING:
    from fractions import Fraction

_LOWEST_I64 = np.iinfo(np.int64).min
_SPLITTER = 2.0**27 + 1.0  # Veltkamp's constant for a 53-bit significand


def to_f32(x: F64) -> F64:
    """``x`` rounded to float32, held in float64.

    A product, sum, quotient or root of float32 values formed in float64 and rounded here has one
    rounding in effect, because 53 >= 2*24 + 2 (Figueroa, 1995).
    """
    return x.astype(np.float32).astype(np.float64)


def fma32(a: F64, b: F64 | float, c: F64 | float) -> F64:
    """``a*b + c`` rounded once to float32; operands and result are float32 values in float64.

    The product is exact in float64, the sum is rounded there, and rounding that again can only
    go wrong where it lies halfway between two float32 values: the 29 bits that are dropped are
    then 1 followed by zeros.  That is rare, so it is looked for and only then repaired.
    """
    total = a * b
    total += c
    tiny = isinstance(b, float) and abs(b) < 2.0**-60  # subnormal results drop more bits
    if tiny or (total.size and (total.view(np.int64) << 35).min() == _LOWEST_I64):
        total = _sum_to_odd(a * b, c)
    return to_f32(total)


def fma64(a: F64, b: float, c: float) -> F64:
    """``a*b + c`` rounded once to float64 (Boldo and Melquiond, 2008).

    Args:
        a: finite, of magnitudes up to ``2**60``, and zero or from ``2**-100`` on.
        b: any factor; extreme ones, whose error terms would leave the range, take long.
        c: any summand, likewise.
    """
    if not all(x == 0.0 or 2.0**-700 < abs(x) < 2.0**900 for x in (b, c)):
        return _fma_extreme(a, b, c)
    high, low = _two_product(a, b)
    inner, inner_error = _two_sum(low, c)
    outer, outer_error = _two_sum(high, inner)
    return outer + _sum_to_odd(inner_error, outer_error)


def fma32_array(a: F32, b: float, c: float) -> F32:
    """:func:`fma32` on a float32 array."""
    return fma32(a.astype(np.float64), b, c).astype(np.float32)


def _fma_extreme(a: F64, b: float, c: float) -> F64:
    """:func:`fma64` in rational arithmetic."""
    from fractions import Fraction  # loads decimal

    if not (math.isfinite(b) and math.isfinite(c)):
        return a * b + c
    slope, shift = Fraction(b), Fraction(c)
    return np.array([_to_float(Fraction(x) * slope + shift) for x in a.tolist()], np.float64)


def _to_float(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _two_sum(a: F64, b: F64 | float) -> tuple[F64, F64]:
    """The rounded sum and its exact error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: F64, b: float) -> tuple[F64, F64]:
    """The rounded product and its exact error (Dekker)."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(np.float64(b))
    error = a_high * b_high - product
    error += a_high * b_low
    error += a_low * b_high
    error += a_low * b_low
    return product, error


def _split(x: F64 | np.float64) -> tuple[F64, F64]:
    """``x`` as a sum of two values of 26 bits (Veltkamp)."""
    scaled = x * _SPLITTER
    high = scaled - (scaled - x)
    return np.asarray(high), np.asarray(x - high)


def _sum_to_odd(a: F64, b: F64 | float) -> F64:
    """``a + b``, an inexact result taking the neighbour whose last bit is 1.

    Rounding such a sum again, to a shorter format, gives what one rounding would have given.
    """
    total, error = _two_sum(a, b)
    bits = total.view(np.int64)
    outward = (error > 0.0) == (total > 0.0)
    step = np.where(outward, 1, -1)
    bits += np.where((error != 0.0) & (bits & 1 == 0), step, 0)
    return total
