"""The measured errors that docs/mathematics.md claims, over all exponents and where they matter."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from flambeau.codegen import FUNCTIONS, Binary, Call, Compare, Literal, Logical, Select, Unary, walk
from flambeau.codegen.mathematics import PARAMETERS, Precision, definition
from flambeau.codegen.mathematics.evaluation import evaluate_definition
from flambeau.codegen.numerics import FUNCTIONS as ORACLE

PAGE = Path(__file__).parents[4] / "docs" / "mathematics.md"
DTYPE = {"f32": np.float32, "f64": np.float64}
SLOW_REFERENCES = {"erf", "erfc", "lgamma"}  # 50 digits in Decimal
NAMES = [name for name in PARAMETERS if name in FUNCTIONS]
has_long_double = np.finfo(np.longdouble).nmant >= 63


class Claim(NamedTuple):
    f32: float
    f64: float
    operations: tuple[int, int]


@functools.cache
def claims() -> dict[str, Claim]:
    """The table of the page: | `name` | f32 | f64 | operations, operations |."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \| (\d+), (\d+) \|", PAGE.read_text("utf-8"), re.M
    )
    return {name: Claim(float(a), float(b), (int(m), int(n))) for name, a, b, m, n in rows}


def test_the_page_has_every_function() -> None:
    assert list(claims()) == sorted(NAMES)


@functools.cache
def operations(name: str, precision: Precision) -> int:
    """What a target computes for one value; bit patterns cost nothing, large angles are apart."""
    count = 0
    for node in walk(definition(name, precision)):
        match node:
            case Unary(_, Literal()):
                continue
            case Unary() | Binary() | Compare() | Logical() | Select():
                count += 1
            case Call(function) if function in PARAMETERS:
                count += 0 if function.endswith("_large") else operations(function, precision)
            case Call(function):
                count += function not in ("as_bits", "from_bits")
    return count


@pytest.mark.parametrize("name", NAMES)
def test_operations(name: str) -> None:
    assert claims()[name].operations == (operations(name, "f32"), operations(name, "f64"))


DOMAINS: dict[str, list[tuple[float, float]]] = {
    "acos": [(-1, 1)], "acosh": [(1, 1.2), (1, 20)], "asin": [(-1, 1)], "asinh": [(-3, 3)],
    "atan": [(-3, 3)], "atanh": [(-1, 1)], "cos": [(-10, 10), (-60000, 60000)],
    "cosh": [(-3, 3), (-88, 88)], "erf": [(-4, 4)], "erfc": [(-3, 3), (0, 10)],
    "exp": [(-1, 1), (-88, 88)], "exp2": [(-1, 1), (-127, 127)], "expm1": [(-2, 2), (-20, 80)],
    "lgamma": [(0, 3), (0, 20)], "log": [(0.5, 2)], "log1p": [(-0.75, 1), (-1, 30)],
    "log2": [(0.5, 2)], "rsqrt": [(0.25, 4)], "sin": [(-10, 10), (-60000, 60000)],
    "sinh": [(-3, 3), (-88, 88)], "tan": [(-10, 10), (-60000, 60000)], "tanh": [(-2, 2)],
}  # fmt: skip
"""Where errors are largest, beside all bit patterns."""


def bit_patterns(precision: str, count: int, generator: np.random.Generator) -> np.ndarray:
    """Every exponent, and the significands at the ends, beside random ones."""
    integer = np.uint32 if precision == "f32" else np.uint64
    bits = generator.integers(0, np.iinfo(integer).max, count, integer, endpoint=True)
    mantissa = np.finfo(DTYPE[precision]).nmant
    ends = np.array([0, 1, (1 << mantissa) - 1, 1 << (mantissa - 1)], integer)
    exponents = np.arange(1 << (8 if precision == "f32" else 11), dtype=integer)
    structured = (exponents[:, np.newaxis] << integer(mantissa)) | ends
    found = np.concatenate([bits, structured.ravel()]).view(DTYPE[precision])
    return np.where(np.isnan(found), DTYPE[precision](np.nan), found)  # no signalling ones


def samples(name: str, precision: str, count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(sum(name.encode()))
    patterns = bit_patterns(precision, count // 2, generator)
    patterns = patterns[:: 16 if name in SLOW_REFERENCES else 1]
    if name in DOMAINS:
        ranges = DOMAINS[name]
        parts = [generator.uniform(*ends, count // 2 // len(ranges)) for ends in ranges]
        x = np.concatenate([patterns, *(part.astype(DTYPE[precision]) for part in parts)])
        return [x[~(x < 0)]] if name == "lgamma" else [x]
    first = np.concatenate([patterns, np.exp(generator.uniform(-3, 3, count // 2))])
    first = first.astype(DTYPE[precision])
    second = generator.permutation(first)
    if name == "pow":  # all results that are finite and not 0
        limit = 149 if precision == "f32" else 1074
        half = first.size // 2
        with np.errstate(all="ignore"):
            exponent = generator.uniform(-limit, limit, half) / np.log2(np.abs(first[:half]))
            second[:half] = exponent.astype(DTYPE[precision])
    return [first, second]


def reference(name: str, precision: str, values: list[np.ndarray]) -> np.ndarray:
    """More precise results: float64 for f32, long double for f64."""
    if precision == "f32":
        function = {"erf": np.frompyfunc(math.erf, 1, 1)}.get(name, ORACLE[name])
        wide = [value.astype(np.float64) for value in values]
    else:
        function = LONG_DOUBLE.get(name, ORACLE[name])
        kind = np.float64 if name in SLOW_REFERENCES else np.longdouble
        wide = [value.astype(kind) for value in values]
    with np.errstate(all="ignore"):
        return np.asarray(function(*wide)).astype(np.longdouble)


LONG_DOUBLE: dict[str, Callable[..., np.ndarray]] = {"rsqrt": lambda x: 1 / np.sqrt(x)}


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest, in units in the last place of the expected value."""
    with np.errstate(all="ignore"):
        rounded = expected.astype(found.dtype)
        counts = np.isfinite(rounded) & np.isfinite(found)
        unit = np.spacing(np.abs(rounded)).astype(np.longdouble)
        powers = np.abs(rounded) > np.abs(expected)  # rounded up, perhaps to a power of two
        below = np.spacing(np.nextafter(np.abs(rounded), 0).astype(found.dtype))
        unit = np.where(powers, np.maximum(below, 0).astype(np.longdouble), unit)
        ulps = np.abs(found.astype(np.longdouble) - expected) / unit
    assert np.array_equal(np.isnan(found), np.isnan(rounded))
    differs = np.isinf(found) != np.isinf(rounded)
    # Within an ulp of the end of the range either is right.
    end = np.finfo(found.dtype).max
    with np.errstate(invalid="ignore"):
        assert (np.abs(expected[differs] / np.longdouble(end) - 1) < 1e-6).all()
    return float(ulps[counts].max())


def measure(name: str, precision: Precision, count: int) -> float:
    values = samples(name, precision, count)
    found = evaluate_definition(name, precision, *values)
    return error(found, reference(name, precision, values))


@pytest.mark.parametrize("name", NAMES)
def test_f32(name: str) -> None:
    count = 2000 if name in SLOW_REFERENCES - {"erf"} else 1 << 15
    found = measure(name, "f32", count)
    print(f"{name} f32 {found:.3f}")
    assert found <= claims()[name].f32 <= (3 if name == "lgamma" else 2.2)


@pytest.mark.skipif(not has_long_double, reason="long double is no longer than double here")
@pytest.mark.parametrize("name", NAMES)
def test_f64(name: str) -> None:
    count = 1000 if name in SLOW_REFERENCES else 1 << 13
    found = measure(name, "f64", count)
    rounding = 0.5 if name in SLOW_REFERENCES else 0  # of the reference itself
    print(f"{name} f64 {found:.3f}")
    assert found <= claims()[name].f64 + rounding
    assert claims()[name].f64 <= (3 if name == "lgamma" else 2.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW_REFERENCES])
def test_a_million_values(name: str) -> None:
    assert measure(name, "f32", 1 << 20) <= claims()[name].f32


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_lgamma_of_negative_numbers(precision: Precision) -> None:
    """It has zeros there, and is a difference: its error is that of the terms."""
    x = np.random.default_rng(0).uniform(-30, -1e-3, 1500).astype(DTYPE[precision])
    found = evaluate_definition("lgamma", precision, x)
    expected = ORACLE["lgamma"](x.astype(np.float64))
    terms = np.maximum(np.abs(expected), np.maximum(np.abs(ORACLE["lgamma"](-x.astype(float))), 1))
    unit = np.spacing(terms.astype(DTYPE[precision]))
    assert (np.abs(found - expected) / unit).max() <= 4
