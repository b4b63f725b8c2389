"""Not numbers, infinities, zeros and their signs, the ends of the range: as C's Annex F."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flambeau.codegen import Category
from flambeau.codegen.mathematics import PARAMETERS, Precision, evaluation
from flambeau.codegen.mathematics.evaluation import evaluate_definition
from flambeau.codegen.numerics import FUNCTIONS as ORACLE

INF, NAN = math.inf, math.nan
DTYPE = {"f32": np.float32, "f64": np.float64}
ENDS = {
    "f32": [2.0**-149, 2.0**-126, 2.0**-126 - 2.0**-149, float(np.finfo(np.float32).max)],
    "f64": [5e-324, 2.0**-1022, 2.0**-1022 - 5e-324, float(np.finfo(np.float64).max)],
}
MAGNITUDES = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 1e9, 1e15, INF]
UNARY = sorted(name for name, names in PARAMETERS.items() if len(names) == 1 and name in ORACLE)


def edges(precision: str) -> np.ndarray:
    """Both signs of everything, and nan."""
    positive = np.array([*MAGNITUDES, *ENDS[precision]])
    near_one = np.nextafter(DTYPE[precision](1), DTYPE[precision]([0, 2])).astype(float)
    positive = np.concatenate([positive, near_one])
    return np.concatenate([positive, -positive, [NAN]])


def oracle(name: str, precision: str, *values: np.ndarray) -> np.ndarray:
    """The function in float64, from the values as the precision holds them."""
    with np.errstate(all="ignore"):
        return ORACLE[name](*(v.astype(DTYPE[precision]).astype(np.float64) for v in values))


def check(name: str, precision: str, *values: np.ndarray) -> None:
    """Same nan, infinities, zeros and signs as libm, and everything else close."""
    found = evaluate_definition(name, precision, *values)
    with np.errstate(over="ignore", under="ignore"):
        expected = oracle(name, precision, *values).astype(DTYPE[precision])
    for at in range(found.size):
        context = f"{name}({', '.join(str(v[at]) for v in values)}) is {found[at]}"
        if np.isnan(expected[at]):
            assert np.isnan(found[at]), context
        elif np.isinf(expected[at]) or expected[at] == 0:
            assert found[at] == expected[at], context
            assert np.signbit(found[at]) == np.signbit(expected[at]), context
        else:
            assert abs(found[at] - expected[at]) <= 4 * unit(name, expected[at]), context


def unit(name: str, expected: np.floating) -> np.floating:
    """A unit in the last place; of 1 at least for lgamma, which has zeros."""
    with np.errstate(over="ignore"):
        spacing = np.spacing(np.maximum(abs(expected), 1) if name == "lgamma" else abs(expected))
    return spacing if np.isfinite(spacing) else abs(expected) * np.finfo(expected.dtype).eps


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", UNARY)
def test_edges(name: str, precision: str) -> None:
    check(name, precision, edges(precision))


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", ["pow", "atan2"])
def test_pairs_of_edges(name: str, precision: str) -> None:
    values = edges(precision)
    first, second = np.repeat(values, values.size), np.tile(values, values.size)
    if name == "pow":  # where the result is neither 0 nor infinite, libm's rounding is no matter
        keep = (first == 1) | ~((np.abs(second) > 100) & (abs(np.abs(first) - 1) < 0.01))
        first, second = first[keep], second[keep]
    check(name, precision, first, second)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (0.0, -3.0, INF),
        (-0.0, -3.0, -INF),
        (-0.0, -2.0, INF),
        (-0.0, -INF, INF),
        (-0.0, 3.0, -0.0),
        (-0.0, 2.5, 0.0),
        (-1.0, INF, 1.0),
        (-1.0, -INF, 1.0),
        (1.0, NAN, 1.0),
        (NAN, 0.0, 1.0),
        (NAN, -0.0, 1.0),
        (-2.0, 0.5, NAN),
        (-8.0, 1 / 3, NAN),
        (0.5, -INF, INF),
        (-0.5, INF, 0.0),
        (-1.5, INF, INF),
        (-INF, -3.0, -0.0),
        (-INF, -2.0, 0.0),
        (-INF, 3.0, -INF),
        (-INF, 2.5, INF),
        (INF, -0.5, 0.0),
        (-2.0, 3.0, -8.0),
        (-3.0, 2.0, 9.0),
        (10.0, 5.0, 100000.0),
        (2.0, -126.0, 2.0**-126),
        (2.0, -149.0, 2.0**-149),
        (4.0, 0.5, 2.0),
        (NAN, 1.0, NAN),
        (2.0, NAN, NAN),
    ],
)
@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_pow(a: float, b: float, expected: float, precision: str) -> None:
    found = float(evaluate_definition("pow", precision, a, b))
    assert found == expected or (math.isnan(found) and math.isnan(expected))
    assert math.copysign(1, found) == math.copysign(1, expected) or math.isnan(expected)


@pytest.mark.parametrize(
    ("precision", "largest", "smallest"),
    [("f32", 88.72283, -103.97208), ("f64", 709.782712893384, -745.1332191019411)],
)
def test_range_of_exp(precision: str, largest: float, smallest: float) -> None:
    dtype = DTYPE[precision]
    over = np.nextafter(dtype(largest), dtype(INF))
    under = np.nextafter(dtype(smallest), dtype(-INF))
    tiny = np.finfo(dtype).smallest_subnormal
    found = evaluate_definition("exp", precision, np.array([largest, over, smallest, under]))
    assert np.isfinite(found[0])
    assert found[1] == INF
    assert found[2] == tiny
    assert found[3] == 0


@pytest.mark.parametrize(
    ("precision", "values"),
    [("f32", [127.99999, 128.0, -149.0, -149.9, -150.0, -151.0]),
     ("f64", [1023.9999999999999, 1024.0, -1074.0, -1074.9, -1075.0, -1076.0])],
)  # fmt: skip
def test_range_of_exp2(precision: str, values: list[float]) -> None:
    found = evaluate_definition("exp2", precision, values)
    tiny = np.finfo(DTYPE[precision]).smallest_subnormal
    assert np.isfinite(found[0])
    assert found[1:].tolist() == [INF, tiny, tiny, 0.0, 0.0]


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_exact_results(precision: str) -> None:
    powers = np.arange(-120.0, 120.0)
    assert np.array_equal(evaluate_definition("exp2", precision, powers), 2.0**powers)
    assert np.array_equal(evaluate_definition("log2", precision, 2.0**powers), powers)
    small = np.arange(-12.0, 13.0)
    for base in (2.0, 3.0, -3.0):
        exponents = np.arange(0.0, 14.0)
        found = evaluate_definition("pow", precision, base, exponents)
        assert np.array_equal(found, base**exponents)
    assert np.array_equal(evaluate_definition("pow", precision, small, 2.0), small**2)
    assert float(evaluate_definition("atan2", precision, 0.0, -1.0)) == DTYPE[precision](np.pi)
    assert float(evaluate_definition("acos", precision, -1.0)) == DTYPE[precision](np.pi)
    assert float(evaluate_definition("lgamma", precision, 1.0)) == 0
    assert float(evaluate_definition("lgamma", precision, 2.0)) == 0


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("anything", [0, 12345, -(2**31)])
@pytest.mark.parametrize("name", [name for name in PARAMETERS if name in ORACLE])
def test_no_result_depends_on_integers_out_of_range(
    name: str, anything: int, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What targets make of nan or 1e30 as an integer is theirs."""
    values = [edges(precision)[:, np.newaxis], edges(precision)][: len(PARAMETERS[name])]
    before = evaluate_definition(name, precision, *values)
    original = evaluation._Evaluation.intrinsic

    def intrinsic(self: evaluation._Evaluation, function: str, value: np.ndarray) -> np.ndarray:
        found = original(self, function, value)
        if function != "to_integer":
            return found
        limit = 2.0 ** (8 * found.dtype.itemsize - 1)
        with np.errstate(invalid="ignore"):
            fits = (value > -limit) & (value < limit)
        return np.where(fits, found, anything).astype(self.types[Category.INTEGER])

    monkeypatch.setattr(evaluation._Evaluation, "intrinsic", intrinsic)
    after = evaluate_definition(name, precision, *values)
    assert np.array_equal(before, after, equal_nan=True)
