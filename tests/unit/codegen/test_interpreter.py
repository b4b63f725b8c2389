"""Evaluation: shapes, types, one rounding per operation."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from flambeau.codegen import FUNCTIONS, FormulaError, evaluate, parse
from flambeau.codegen.numerics import FUNCTIONS as IMPLEMENTATIONS

SIGMOID = "t = exp(-abs(self)); self >= 0 ? 1 / (1 + t) : t / (1 + t)"


def test_a_formula_with_bindings() -> None:
    found = evaluate(SIGMOID, {"self": [-800.0, 0.0, 800.0]})
    assert found.tolist() == [0.0, 0.5, 1.0]
    assert evaluate(parse(SIGMOID), {"self": 0}) == 0.5


def test_every_function_is_implemented() -> None:
    assert IMPLEMENTATIONS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize(
    ("text", "shape"), [("self + other", (2, 3)), ("self", (2, 3)), ("1", (2, 3))]
)
def test_shape_is_that_of_all_values(text: str, shape: tuple[int, ...]) -> None:
    found = evaluate(text, {"self": np.ones((2, 1)), "other": np.ones(3), "alpha": 2})
    assert found.shape == shape
    found[...] = 0  # an array of its own


def test_no_values() -> None:
    assert evaluate("pi / 2", {}) == np.pi / 2
    assert evaluate("2 > 1", {}).dtype == np.bool_


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(ValueError, match="shape mismatch"):
        evaluate("a + b", {"a": np.ones(2), "b": np.ones(3)})


@pytest.mark.parametrize("value", ["text", None, np.datetime64("2020-01-01")])
def test_values_that_are_no_numbers(value: object) -> None:
    with pytest.raises(TypeError, match="self: formulas compute with bools and numbers"):
        evaluate("self", {"self": value})  # type: ignore[dict-item]


def test_types_are_checked() -> None:
    with pytest.raises(FormulaError, match="integer / integer"):
        evaluate("a / b", {"a": [1, 2], "b": 2})


@pytest.mark.parametrize(
    ("dtype", "text", "result"),
    [
        (np.float64, "i", np.int64),
        (np.float64, "p", np.bool_),
        (np.float64, "x", np.float64),
        (np.float64, "z", np.complex128),
        (np.float32, "x + i", np.float32),
        (np.float32, "z", np.complex64),
        (np.float16, "x", np.float16),
        (np.float16, "abs(z)", np.float16),
        (ml_dtypes.bfloat16, "x * 2", ml_dtypes.bfloat16),
        (np.complex64, "x", np.float32),
        (np.complex64, "z * x", np.complex64),
        (np.int8, "i + 1", np.int8),
        (np.int8, "exp(i)", np.float64),
        (np.uint8, "p + p", np.uint8),
        (np.bool_, "p + p", np.int64),
        (np.float32, "isnan(x)", np.bool_),
        (np.float32, "p ? i : x", np.float32),
    ],
)
def test_result_type(dtype: type, text: str, result: type) -> None:
    values = {"p": np.array([True]), "i": np.int8([1]), "x": np.float16([1.5]), "z": 1j}
    assert evaluate(text, values, dtype).dtype == result


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("100 + 100", np.int8, -56),
        ("-i", np.int8, -128),
        ("abs(i)", np.int8, -128),
        ("i * i + i", np.int8, -128),
        ("300", np.uint8, 44),
        ("-1", np.uint8, 255),
        ("18446744073709551615", np.int64, -1),
        ("9223372036854775807 + 1", np.float64, -(2**63)),
        ("floor_divide(i, -1)", np.int8, -128),
        ("trunc_divide(i, -1)", np.int8, -128),
        ("fma(i, i, 5)", np.int8, 5),
        ("pow(3, 5)", np.int8, -13),
    ],
)
def test_integers_wrap(text: str, dtype: type, expected: int) -> None:
    assert evaluate(text, {"i": np.int8(-128)}, dtype) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!2", False),
        ("!nan", False),
        ("nan && 1", True),
        ("0.0 || 0", False),
        ("~true", False),
        ("true & false", False),
        ("true + true", 2),
        ("-true", -1),
        ("nan ? 1 : 2", 1),
        ("5 & 3 | 8", 9),
        ("5 ^ 3", 6),
        ("~5", -6),
        ("-7 >> 1", -4),
        ("1 << 62", 2**62),
        ("1 << 64", 0),
        ("1 << -1", 0),
        ("-7 >> 64", -1),
        ("7 >> -1", 0),
        ("pow(2, -1)", 0),
        ("pow(-1, -3)", -1),
        ("remainder(-7, 3)", 2),
        ("fmod(-7, 3)", -1),
        ("floor_divide(-7, 2)", -4),
        ("trunc_divide(-7, 2)", -3),
        ("floor_divide(7, 0)", 0),
        ("trunc_divide(7, 0)", 0),
        ("remainder(7, 0)", 0),
        ("fmod(7, 0)", 0),
        ("round(2.5)", 2.0),
        ("sign(nan)", 0.0),
    ],
)
def test_values(text: str, expected: float) -> None:
    assert evaluate(text, {}) == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("operator", ["+", "-", "*", "/"])
def test_arithmetic_rounds_once(operator: str, dtype: type) -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.normal(size=300).astype(dtype) for _ in range(2))
    found = evaluate(f"a {operator} b", {"a": a, "b": b}, dtype)
    for left, right, result in zip(a, b, found, strict=True):
        exact = {
            "+": Fraction.__add__,
            "-": Fraction.__sub__,
            "*": Fraction.__mul__,
            "/": Fraction.__truediv__,
        }[operator](Fraction(float(left)), Fraction(float(right)))
        for neighbour in (
            np.nextafter(result, dtype(np.inf)),
            np.nextafter(result, dtype(-np.inf)),
        ):
            assert abs(Fraction(float(result)) - exact) <= abs(Fraction(float(neighbour)) - exact)


def test_every_step_rounds() -> None:
    # In float64 the small addend would survive until the difference.
    assert evaluate("x + 1e-9 - x", {"x": 1.0}, np.float32) == 0.0
    assert evaluate("x + 1e-9 - x", {"x": 1.0}) != 0.0


def test_literals_and_attributes_round_to_the_type() -> None:
    assert evaluate("0.1", {}, np.float32) == np.float32(0.1)
    assert evaluate("alpha * x", {"alpha": 0.1, "x": 1.0}, np.float32) == np.float32(0.1)
    assert evaluate("x + 16777217", {"x": 0.0}, np.float32) == 16777216


def test_bfloat16_is_rounded_once_from_float64() -> None:
    # Just above the middle of two neighbours: by way of float32 it would fall onto the middle.
    for above in (2.0**-40, 0.6 * 2.0**-23):
        assert evaluate("x", {"x": 1 + 2.0**-8 + above}, ml_dtypes.bfloat16) == 1 + 2.0**-7
    for middle, even in ((1 + 2.0**-8, 1), (1 + 3 * 2.0**-8, 1 + 2.0**-6)):
        assert evaluate("x", {"x": middle}, ml_dtypes.bfloat16) == even
    found = evaluate("x", {"x": [1e300, -1e300, np.nan, 3.38e38]}, ml_dtypes.bfloat16)
    assert np.array_equal(found[:3].astype(float), [np.inf, -np.inf, np.nan], equal_nan=True)
    assert np.isfinite(found[3])


def test_complex() -> None:
    values = {"z": np.array([3 + 4j, -2j])}
    assert evaluate("abs(z)", values).tolist() == [5.0, 2.0]
    assert evaluate("conj(z) * z", values).tolist() == [25 + 0j, 4 + 0j]
    assert evaluate("real(z) - imag(z)", values).tolist() == [-1.0, 2.0]
    assert evaluate("z == 3 + z - 3", values).tolist() == [True, True]
    assert evaluate("isnan(z * nan) && !isinf(z)", values).tolist() == [True, True]
    assert evaluate("!z", {"z": 0j}) == np.True_


def test_nothing_warns_and_the_inputs_stay() -> None:
    x = np.array([-1.0, 0.0, np.inf, np.nan])
    before = x.copy()
    evaluate("log(self) / self + pow(0.0, self) + fmod(self, 0.0)", {"self": x}, np.float16)
    assert np.array_equal(x, before, equal_nan=True)
