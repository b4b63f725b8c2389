"""The fused multiply-add of arrays against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from flambeau.codegen.multiply_add import fma, fma_to_odd


def exact(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def numbers(generator: np.random.Generator, spread: int, count: int) -> np.ndarray:
    return generator.normal(size=count) * 2.0 ** generator.integers(-spread, spread, count)


@pytest.mark.parametrize("spread", [2, 60, 480])
def test_rounds_once(spread: int) -> None:
    generator = np.random.default_rng(spread)
    a, b, c = (numbers(generator, spread, 2000) for _ in range(3))
    c[::2] = -(a * b)[::2] * (1 + numbers(generator, 1, 1000) * 2.0**-50)  # what cancels
    expected = [exact(*item) for item in zip(a, b, c, strict=True)]
    assert fma(a, b, c).tolist() == expected


@pytest.mark.parametrize(
    ("a", "b", "c"),
    [
        (1 + 2.0**-52, 1 - 2.0**-52, -1.0),
        (2.0**1000, 2.0**1000, -np.inf),
        (2.0**600, 2.0**600, -(2.0**1023)),
        (2.0**600, -(2.0**423), 2.0**1023),
        (2.0**-600, 2.0**-474, 2.0**-1074),
        (2.0**-537, 2.0**-537, 2.0**-1022),
        (5e-324, 0.5, 5e-324),
    ],
)
def test_far_from_one(a: float, b: float, c: float) -> None:
    if np.isfinite(c):
        assert fma(np.array(a), np.array(b), np.array(c)) == finite(a, b, c)
    else:
        assert fma(np.array(a), np.array(b), np.array(c)) == c


def finite(a: float, b: float, c: float) -> float:
    try:
        return exact(a, b, c)
    except OverflowError:
        return np.inf


@pytest.mark.parametrize("zeros", [(0.0, -1.0, 0.0), (-0.0, 1.0, -0.0), (0.0, -1.0, -0.0)])
def test_signs_of_zeros(zeros: tuple[float, float, float]) -> None:
    a, b, c = zeros
    assert np.signbit(fma(*map(np.array, zeros))) == np.signbit(a * b + c)


def test_not_finite() -> None:
    a = np.array([np.nan, np.inf, np.inf, 0.0, 1.0])
    b = np.array([1.0, 2.0, 0.0, np.inf, 1.0])
    c = np.array([1.0, 1.0, 1.0, 1.0, np.nan])
    with np.errstate(invalid="ignore"):
        expected = a * b + c
        assert np.array_equal(fma(a, b, c), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rounded_to_odd_then_to_a_narrow_type_rounds_once(dtype: type) -> None:
    generator = np.random.default_rng(0)
    a, b, c = (numbers(generator, 4, 3000).astype(dtype) for _ in range(3))
    found = fma_to_odd(*(x.astype(np.float64) for x in (a, b, c))).astype(dtype)
    for x, y, z, result in zip(a, b, c, found, strict=True):
        value = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        error = abs(Fraction(float(result)) - value)
        for end in (-np.inf, np.inf):
            neighbour = np.nextafter(result, dtype(end))
            assert error <= abs(Fraction(float(neighbour)) - value)
