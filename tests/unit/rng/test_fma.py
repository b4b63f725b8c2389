from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flambeau.rng.fma import fma32, fma32_array, fma64


def exact64(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def exact32(a: float, b: float, c: float) -> np.float32:
    """One rounding to float32: the nearer neighbour of the exact value, even if they tie."""
    value = Fraction(a) * Fraction(b) + Fraction(c)
    near = np.float32(float(value))
    around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(around, key=lambda x: (abs(Fraction(float(x)) - value), int(x.view(np.uint32)) & 1))


def f32(x: float) -> float:
    return float(np.float32(x))


SINGLES = st.floats(-(2.0**20), 2.0**20, width=32)


@settings(derandomize=True, deadline=None)
@given(SINGLES, SINGLES, SINGLES)
def test_fma32_rounds_once(a: float, b: float, c: float) -> None:
    if 0 < abs(a * b) < 1e-30:  # float64 holds every product, but the oracle no tie of subnormals
        return
    assert fma32(np.array([a]), b, c).astype(np.float32) == exact32(a, b, c)


# Products of two float32 that miss 2**-24, half a last place at 1, by less than float64 keeps
# of a sum with 1: after that rounding both look like a tie, which goes to the even neighbour.
ABOVE_HALF = (12201929 * 2.0**-36, 11534036 * 2.0**-35)  # 2**-24 + 116 * 2**-71
BELOW_HALF = (2.0**-12 * (1 + 2.0**-23), 2.0**-12 * (1 - 2.0**-23))  # 2**-24 - 2**-70


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("factors", "c", "expected"),
    [
        (ABOVE_HALF, 1.0, 1.0 + 2.0**-23),
        (BELOW_HALF, 1.0 + 2.0**-23, 1.0 + 2.0**-23),
        ((2.0**-12, 2.0**-12), 1.0, 1.0),  # true ties
        ((2.0**-12, 2.0**-12), 1.0 + 2.0**-23, 1.0 + 2.0**-22),
    ],
)
def test_fma32_where_two_roundings_could_differ_from_one(
    factors: tuple[float, float], c: float, expected: float, sign: float
) -> None:
    a, b = factors
    ordinary = np.full(5, 0.25)
    found = fma32(np.append(ordinary, sign * a), np.append(ordinary, b), sign * c)
    assert found[-1] == sign * expected
    assert (found[:-1] == np.float32(0.0625 + sign * c)).all()


def test_fma32_where_the_result_is_subnormal_and_two_roundings_differ() -> None:
    a, b = 12201929 * 2.0**-48, 11534036 * 2.0**-149  # 2**-150 and a little, above half of 2**-149
    assert fma32(np.array([a]), b, 2.0**-127).tolist() == [2.0**-127 + 2.0**-149]


def test_fma32_of_subnormal_results() -> None:
    a = np.random.default_rng(0).integers(0, 2**24, 500) * 2.0**-24
    for b, c in ((2.0**-130, 3 * 2.0**-149), (3 * 2.0**-149, -(2.0**-149)), (2.0**-126, 0.0)):
        expected = [exact32(x, b, c) for x in a.tolist()]
        assert fma32_array(a.astype(np.float32), b, c).tolist() == expected


@settings(derandomize=True, deadline=None)
@given(
    st.one_of(st.just(0.0), st.floats(2.0**-53, 2.0**60), st.floats(-(2.0**60), -(2.0**-53))),
    st.floats(-1e280, 1e280),
    st.floats(-1e280, 1e280),
)
def test_fma64_rounds_once(a: float, b: float, c: float) -> None:
    assert fma64(np.array([a]), b, c).tolist() == [exact64(a, b, c)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fma64_where_the_error_terms_round_to_a_tie(sign: float) -> None:
    first = 6000000000000004
    second = -(-(2**105) // first)  # the product is 2**105 and less than 2**52 more
    assert 0 < first * second - 2**105 < 2**52
    a, b = first * 2.0**-79, second * 2.0**-79
    assert fma64(np.array([sign * a]), b, sign).tolist() == [sign * (1.0 + 2.0**-52)]


def test_fma64_differs_from_two_roundings() -> None:
    a = np.random.default_rng(0).random(1000)
    found = fma64(a, 0.33, -0.1)
    assert found.tolist() == [exact64(x, 0.33, -0.1) for x in a.tolist()]
    assert np.count_nonzero(found != a * 0.33 - 0.1) > 100


@pytest.mark.parametrize(
    ("b", "c", "expected"),
    [
        (1.5e308, 1e308, np.inf),
        (-1.5e308, -1e308, -np.inf),
        (np.inf, 0.0, np.inf),
        (1.0, -np.inf, -np.inf),
        (5e-324, 0.0, 5e-324),
    ],
)
def test_fma64_at_the_ends_of_the_range(b: float, c: float, expected: float) -> None:
    assert fma64(np.array([1.0]), b, c).tolist() == [expected]


def test_fma_of_nothing() -> None:
    assert fma32(np.empty(0), 1.0, 2.0).size == fma64(np.empty(0), 1.5, 2.0).size == 0
