"""Complex functions against NumPy's, and where overflow and branch cuts are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flambeau.codegen.mathematics import Precision, complex_definition
from flambeau.codegen.mathematics.complex_numbers import TEXTS
from flambeau.codegen.mathematics.evaluation import evaluate_in_width

INF, NAN = math.inf, math.nan
DTYPE = {"f32": np.float32, "f64": np.float64}
NUMPY = {
    "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh,
    "atan": np.arctan, "atanh": np.arctanh, "divide": np.divide, "pow": np.power,
    "rsqrt": lambda z: 1 / np.sqrt(z),
}  # fmt: skip
BOUND = {"exp2": 8, "pow": 60}
"""In units of eps |result|: the argument of sine and cosine is rounded in these."""


def call(name: str, precision: Precision, *values: np.ndarray | complex) -> np.ndarray:
    parts = {}
    for suffix, value in zip(("", "2"), values, strict=False):
        z = np.asarray(value, np.clongdouble)
        parts |= {f"re{suffix}": z.real, f"im{suffix}": z.imag}
    real, imaginary = complex_definition(name)
    found = evaluate_in_width(real, precision, parts).astype(np.clongdouble)
    found.imag = evaluate_in_width(imaginary, precision, parts)
    return found


def points(precision: str, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    dtype = DTYPE[precision]
    sizes = np.exp(generator.uniform(-3, 2, 1500))
    real, imaginary = (generator.normal(size=1500) * sizes for _ in range(2))
    return real.astype(dtype) + np.clongdouble(1j) * imaginary.astype(dtype)


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", sorted(TEXTS))
def test_against_numpy(name: str, precision: Precision) -> None:
    values = [points(precision, seed) for seed in range(2 if name in ("pow", "divide") else 1)]
    found = call(name, precision, *values)
    with np.errstate(all="ignore"):
        expected = NUMPY.get(name, getattr(np, name, None))(*values)
    limits = np.finfo(DTYPE[precision])
    counts = (np.abs(expected) < limits.max) & (np.abs(expected) > limits.tiny)
    assert counts.sum() > 1000
    error = np.abs(found - expected)[counts] / np.abs(expected)[counts] / limits.eps
    assert error.max() <= BOUND.get(name, 3.5)


def same(found: np.ndarray, expected: complex) -> bool:
    """Equal with the signs of zeros, nan being nan."""
    pairs = [(float(found.real), expected.real), (float(found.imag), expected.imag)]
    return all(
        (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
        for a, b in pairs
    )


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("abs", complex(INF, NAN), INF + 0j),
        ("abs", complex(NAN, -INF), INF + 0j),
        ("abs", complex(NAN, 1), complex(NAN, 0)),
        ("abs", complex(0, -0.0), 0j),
        ("exp", complex(-INF, 3), complex(-0.0, 0.0)),
        ("exp", complex(-INF, INF), 0j),
        ("exp", complex(INF, 0.0), complex(INF, 0.0)),
        ("exp", complex(0.0, -0.0), complex(1.0, -0.0)),
        ("log", 0j, complex(-INF, 0)),
        ("log", complex(INF, 1), complex(INF, 0)),
        ("sqrt", 0j, 0j),
        ("sqrt", complex(-0.0, -0.0), complex(0.0, -0.0)),
        ("sqrt", complex(-4, 0.0), 2j),
        ("sqrt", complex(-4, -0.0), complex(0.0, -2.0)),
        ("sqrt", complex(NAN, INF), complex(INF, INF)),
        ("sqrt", complex(-INF, 1), complex(0, INF)),
        ("sqrt", complex(INF, -1), complex(INF, -0.0)),
        ("sin", complex(0.0, -0.0), complex(0.0, -0.0)),
        ("sinh", complex(-0.0, 0.0), complex(-0.0, 0.0)),
        ("tan", complex(0.0, -0.0), complex(0.0, -0.0)),
        ("tanh", complex(-0.0, 0.0), complex(-0.0, 0.0)),
        ("tanh", complex(INF, 1), complex(1.0, 0.0)),
        ("asin", complex(0.0, 0.0), complex(0.0, 0.0)),
        ("atanh", complex(INF, 0.5), None),
        ("rsqrt", complex(4, 0.0), complex(0.5, -0.0)),
    ],
)
def test_edges(name: str, z: complex, expected: complex | None, precision: Precision) -> None:
    found = call(name, precision, z)
    if expected is None:
        expected = complex(0.0, float(DTYPE[precision](math.pi / 2)))
    assert same(found, expected), found


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", ["sqrt", "log", "asin", "acos", "acosh", "atanh"])
def test_the_sign_of_zero_chooses_the_side_of_a_cut(name: str, precision: Precision) -> None:
    at = 2.0 if name in ("asin", "acos", "atanh") else -2.0
    above, below = call(name, precision, complex(at, 0.0)), call(name, precision, complex(at, -0.0))
    expected = NUMPY.get(name, getattr(np, name, None))(np.array([complex(at, 0.0)]))[0]
    assert np.isclose(complex(above), expected, rtol=4 * np.finfo(DTYPE[precision]).eps, atol=0)
    assert complex(below) == np.conj(complex(above))
    assert above.imag != below.imag


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("exponent", [-1.0, 1.0])
def test_what_would_overflow_or_vanish_in_between(exponent: float, precision: Precision) -> None:
    limits = np.finfo(DTYPE[precision])
    size = float(limits.max) / 8 if exponent > 0 else float(limits.tiny) * 8
    tolerance = 4 * limits.eps
    z = complex(3 * size, 4 * size)
    assert np.isclose(float(call("abs", precision, z).real) / size, 5, rtol=tolerance, atol=0)
    root = call("sqrt", precision, z) / np.sqrt(np.longdouble(size))
    assert np.isclose(complex(root), 2 + 1j, rtol=tolerance, atol=0)
    assert np.isclose(complex(call("divide", precision, z, z)), 1, rtol=tolerance, atol=0)
    logarithm = complex(call("log", precision, z))
    expected = math.log(size) + np.log(3 + 4j)
    assert np.isclose(logarithm, expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_exp_where_only_a_part_overflows(precision: Precision) -> None:
    largest = math.log(float(np.finfo(DTYPE[precision]).max))
    z = complex(float(DTYPE[precision](largest + 0.5)), 1.5)
    found = call("exp", precision, z)
    size = np.exp(np.longdouble(z.real) - np.longdouble(largest))
    assert np.isclose(
        float(found.real / np.finfo(DTYPE[precision]).max), float(size * np.cos(1.5)), rtol=1e-4
    )


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [(0, 0, 1), (0, 2, 0), (0, 1 + 1j, 0), (1j, 2, -1), (2, 0, 1), (NAN, 0, 1)],
)
def test_pow(base: complex, exponent: complex, expected: complex, precision: Precision) -> None:
    found = complex(call("pow", precision, base, exponent))
    assert np.isclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_division_by_zero(precision: Precision) -> None:
    found = call("divide", precision, 1 - 2j, 0j)
    assert not np.isfinite(complex(found))
