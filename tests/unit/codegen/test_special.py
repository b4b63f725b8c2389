"""erf, erfc and lgamma against values known to more digits, within 1 ulp."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flambeau.codegen import special


def ulps(found: float, expected: float) -> float:
    return abs(found - expected) / math.ulp(expected)


# Nearest float64 of values computed with 200 bits (mpmath 1.3).
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("erf", 0.5, 0.5204998778130465),
        ("erf", -1e-300, -1.1283791670955126e-300),
        ("erf", 3.25, 0.9999956972205363),
        ("erf", 5.9, 0.9999999999999999),
        ("erfc", -0.5, 1.5204998778130465),
        ("erfc", 1e-20, 1.0),
        ("erfc", 0.75, 0.28884436634648486),
        ("erfc", 1.2338243522170016, 0.08100382121542421),
        ("erfc", 2.9999, 2.210442648216091e-05),
        ("erfc", 3.0001, 2.20765758701933e-05),
        ("erfc", 10.0, 2.088487583762545e-45),
        ("erfc", 26.5, 2.2109076642637343e-307),
        ("lgamma", 1.0000000000000002, -1.2816762426960008e-16),
        ("lgamma", 0.9999999999999999, 6.408381213480008e-17),
        ("lgamma", 2.0000000000000004, 1.8775396131086244e-16),
        ("lgamma", 1.9999999999999998, -9.387698065543117e-17),
        ("lgamma", 2.000179583228146, 7.593537492208722e-05),
        ("lgamma", 0.5, 0.5723649429247001),
        ("lgamma", 1e-300, 690.7755278982137),
        ("lgamma", -1e-300, 690.7755278982137),
        ("lgamma", -0.5, 1.2655121234846454),
        ("lgamma", -2.4570247382208006, 5.619192358950097e-17),
        ("lgamma", -2.459084703839281, -0.003101487091359328),
        ("lgamma", -1000000.5, -12815524.147683937),
        ("lgamma", 3.8206544833614777, 1.5711239004312334),
        ("lgamma", 100.0, 359.1342053695754),
        ("lgamma", 1e20, 4.505170185988091e21),
        ("lgamma", 1e305, 7.012884533631839e307),
    ],
)
def test_known_values(name: str, x: float, expected: float) -> None:
    assert ulps(getattr(special, name)(x), expected) <= 1


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("erf", 0.0, 0.0),
        ("erf", -0.0, -0.0),
        ("erf", math.inf, 1.0),
        ("erf", -math.inf, -1.0),
        ("erf", 5e-324, 5e-324),
        ("erfc", math.inf, 0.0),
        ("erfc", -math.inf, 2.0),
        ("erfc", 30.0, 0.0),
        ("erfc", 0.0, 1.0),
        ("lgamma", 1.0, 0.0),
        ("lgamma", 2.0, 0.0),
        ("lgamma", 0.0, math.inf),
        ("lgamma", -0.0, math.inf),
        ("lgamma", -3.0, math.inf),
        ("lgamma", -1e300, math.inf),
        ("lgamma", math.inf, math.inf),
        ("lgamma", -math.inf, math.inf),
        ("lgamma", 1e308, math.inf),
    ],
)
def test_exact_values(name: str, x: float, expected: float) -> None:
    found = getattr(special, name)(x)
    assert found == expected
    assert math.copysign(1, found) == math.copysign(1, expected)


@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma"])
def test_nan(name: str) -> None:
    assert math.isnan(getattr(special, name)(math.nan))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("erf", -6.5, 6.5),
        ("erfc", -6.5, 26.5),
        ("lgamma", -20.0, 0.0),
        ("lgamma", 0.5, 3.0),
        ("lgamma", 3.0, 200.0),
    ],
)
def test_against_mpmath(name: str, low: float, high: float) -> None:
    mpmath = pytest.importorskip("mpmath")
    exact = {"erf": mpmath.erf, "erfc": mpmath.erfc, "lgamma": lambda x: log_gamma(mpmath, x)}[name]
    with mpmath.workprec(200):
        for x in np.random.default_rng(0).uniform(low, high, 200).tolist():
            expected = exact(mpmath.mpf(x))
            error = abs(mpmath.mpf(getattr(special, name)(x)) - expected)
            assert error <= math.ulp(float(expected)), x


def log_gamma(mpmath: object, x: object) -> object:
    return mpmath.log(abs(mpmath.gamma(x)))  # type: ignore[attr-defined]
