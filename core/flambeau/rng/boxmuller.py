"""The Box-Muller transform of PyTorch's contiguous normals, bit for bit.

float32 follows the AVX2 kernel (``normal_fill`` over ``avx_mathfun.h``): the single-precision
polynomials of the Cephes library (``logf``, ``sinf``, ``cosf``; Moshier, 1992) with the
multiply-adds that the compiler fused.  float64 uses the C library, as PyTorch does.

Float32 values are held in float64 arrays here, see :mod:`.fma`.
"""

from __future__ import annotations

import math

import numpy as np

from flambeau.rng.fma import fma32, fma64, to_f32
from flambeau.rng.libm import map_libm
from flambeau.rng.types import F32, F64


def _f32(x: float) -> float:
    return float(np.float32(x))


_TWO_PI = _f32(2 * math.pi)
_FOUR_OVER_PI = _f32(1.27323954473516)
_SQRT_HALF = _f32(0.707106781186547524)
_LOG = [_f32(c) for c in (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)]  # fmt: skip
_LN2_HIGH, _LN2_LOW = 0.693359375, _f32(-2.12194440e-4)
_QUARTER_PI = [_f32(c) for c in (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)]
# Of the cosine and of the sine, one above the other.
_COS_SIN = [np.array([[_f32(cos)], [_f32(sin)]]) for cos, sin in (
    (2.443315711809948e-5, -1.9515295891e-4), (-1.388731625493765e-3, 8.3321608736e-3),
    (4.166664568298827e-2, -1.6666654611e-1),
)]  # fmt: skip


def pairs32(u1: F32, u2: F32, mean: float, std: float) -> tuple[F32, F32]:
    """Two arrays of normals from two of uniforms in [0, 1), in float32.

    Args:
        u1: gives the radius ``sqrt(-2 log(1 - u1))``.
        u2: gives the angle ``2 pi u2``.
        mean: added to every value, after rounding to float32.
        std: factor of every value, rounded likewise.
    """
    radius = np.sqrt(np.float32(-2.0) * _log(np.float32(1.0) - u1)).astype(np.float64)
    both = radius * _cos_sin(to_f32(u2 * np.float64(_TWO_PI)))
    if mean == 0.0 and std == 1.0:
        first, second = both.astype(np.float32) + np.float32(0.0)  # the addition makes -0 a +0
    else:
        first, second = fma32(to_f32(both), _f32(std), _f32(mean)).astype(np.float32)
    return first, second


def pairs64(u1: F64, u2: F64, mean: float, std: float) -> tuple[F64, F64]:
    """Two arrays of normals from two of uniforms in [0, 1), in float64."""
    radius = np.sqrt(-2.0 * map_libm(math.log, 1.0 - u1))
    angle = (2.0 * math.pi) * u2
    first, second = (radius * map_libm(f, angle) for f in (math.cos, math.sin))
    return fma64(first, std, mean), fma64(second, std, mean)


def _log(x: F32) -> F32:
    """Cephes ``logf`` of normal, positive values."""
    bits = x.view(np.int32)
    mantissa = ((bits & 0x7FFFFF) | 0x3F000000).view(np.float32)  # in [0.5, 1)
    low = mantissa < _SQRT_HALF
    exponent = ((bits >> 23) - 126 - low).astype(np.float64)
    m = mantissa * (low + 1.0) - 1.0  # exact: to [sqrt(1/2) - 1, sqrt(2) - 1)
    z = to_f32(m * m)
    p = fma32(m, _LOG[0], _LOG[1])
    for coefficient in _LOG[2:]:
        p = fma32(p, m, coefficient)
    y = fma32(to_f32(p * m), z, to_f32(exponent * _LN2_LOW))
    # Of multiply-adds whose sum float64 holds exactly, the rounding to float32 is the only one:
    # y and z are no more than 2**29 apart, unless y is the multiple of ln 2 and z is so small
    # that the sum does not come near the middle of two float32 values.
    y = to_f32(y - z * 0.5)
    return (exponent * _LN2_HIGH + to_f32(m + y)).astype(np.float32)


def _cos_sin(angle: F64) -> F64:
    """Cephes ``cosf`` and ``sinf`` of float32 angles in [0, 2 pi], one above the other."""
    octant = (to_f32(angle * _FOUR_OVER_PI).astype(np.int64) + 1) & ~1
    steps = octant.astype(np.float64)
    x = angle
    for part in _QUARTER_PI:
        x = to_f32(x + steps * part)  # exact but for this rounding: the steps have few bits
    z = to_f32(x * x)
    both = fma32(z, _COS_SIN[0], _COS_SIN[1])
    both = to_f32(fma32(z, both, _COS_SIN[2]) * z)
    both = fma32(both, np.stack((z, x)), np.stack((z * -0.5, x)))
    both[0] = to_f32(both[0] + 1.0)
    # Exchange the two in every other quadrant, then set the sign bits.
    cos_bits, sin_bits = both.view(np.int64)
    exchange = (sin_bits ^ cos_bits) & -(octant >> 1 & 1)
    sin_bits ^= exchange ^ ((octant & 4) << 61)
    cos_bits ^= exchange ^ ((octant + 2 & 4) << 61)
    return both
