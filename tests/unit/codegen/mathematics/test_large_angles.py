"""Angles near multiples of pi / 2, where a reduction loses most, against integer arithmetic."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from flambeau.codegen.mathematics.evaluation import evaluate_definition

MANTISSA = {"f32": 24, "f64": 53}
LARGEST = {"f32": 127, "f64": 1023}
DTYPE = {"f32": np.float32, "f64": np.float64}
BITS = 1400


@functools.cache
def half_pi() -> Fraction:
    """By Machin's formula, pi / 4 = 4 atan(1/5) - atan(1/239), in BITS bits."""

    def inverse_tangent(n: int) -> int:
        total, term, k = 0, (1 << (BITS + 20)) // n, 0
        while term:
            total += (-term if k & 1 else term) // (2 * k + 1)
            term //= n * n
            k += 1
        return total

    quarter = 4 * inverse_tangent(5) - inverse_tangent(239)
    return Fraction(2 * quarter, 1 << (BITS + 20))


def reduced(x: float) -> tuple[int, np.longdouble]:
    """x = q pi / 2 + r with |r| <= pi / 4."""
    turns = Fraction(x) / half_pi()
    q = round(turns)
    rest = (turns - q) * half_pi()
    high = float(rest)
    return q, np.longdouble(high) + np.longdouble(float(rest - Fraction(high)))


def sine(x: float) -> np.longdouble:
    q, r = reduced(x)
    value = np.cos(r) if q & 1 else np.sin(r)
    return -value if q & 2 else value


def cosine(x: float) -> np.longdouble:
    q, r = reduced(x)
    value = np.sin(r) if q & 1 else np.cos(r)
    return -value if (q + 1) & 2 else value


def tangent(x: float) -> np.longdouble:
    return sine(x) / cosine(x)


def hardest(precision: str, exponent: int) -> Iterator[float]:
    """m 2**e near multiples of pi / 2: m are denominators of the convergents of 2**e / (pi / 2)."""
    bits = MANTISSA[precision]
    scale = Fraction(2) ** (exponent - bits + 1)
    number = scale / half_pi()
    previous, current = 0, 1
    while current < 1 << bits:
        multiple = -(-(1 << (bits - 1)) // current)
        if multiple * current < 1 << bits:
            yield float(scale) * (multiple * current)
        rest = number - number.__floor__()
        if rest == 0:
            return
        number = 1 / rest
        previous, current = current, number.__floor__() * current + previous


def ulps(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    spacing = np.spacing(np.abs(expected).astype(found.dtype)).astype(np.longdouble)
    return np.abs(found.astype(np.longdouble) - expected) / spacing


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no longer here")
@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize(
    ("name", "reference", "bound"),
    [("sin", sine, 1.7), ("cos", cosine, 1.7), ("tan", tangent, 2.2)],
)
def test_near_multiples_of_half_pi(
    name: str, reference: object, bound: float, precision: str
) -> None:
    step = 1 if precision == "f32" else 9
    exponents = range(0, LARGEST[precision] + 1, step)
    x = np.array([v for e in exponents for v in list(hardest(precision, e))[-3:]])
    x = np.concatenate([x, -x]).astype(DTYPE[precision])
    expected = np.array([reference(float(v)) for v in x])  # type: ignore[operator]
    found = evaluate_definition(name, precision, x)
    assert ulps(found, expected).max() <= bound


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no longer here")
def test_the_hardest_angle_of_float64() -> None:
    x = np.ldexp(6381956970095103.0, 797)  # 2**-61.9 pi / 2 from a multiple of it
    assert abs(reduced(float(x))[1]) < 5e-19
    assert ulps(evaluate_definition("cos", "f64", [x]), np.array([cosine(float(x))]))[0] <= 1
    assert ulps(evaluate_definition("tan", "f64", [x]), np.array([tangent(float(x))]))[0] <= 2


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_the_ways_of_reduction_meet(name: str, precision: str) -> None:
    """Just below and above the limit of the short one, against libm in float64."""
    limit = 2.0**12 if precision == "f32" else 2.0**25
    dtype = DTYPE[precision]
    x = limit + np.arange(-200, 200) * np.spacing(dtype(limit))
    found = evaluate_definition(name, precision, x)
    expected = getattr(np, name)(x.astype(dtype).astype(np.float64))
    assert np.allclose(found, expected, rtol=4 * np.finfo(dtype).eps, atol=0)
