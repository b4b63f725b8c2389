"""The functions whose rules NumPy does not have, or has otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flambeau.codegen import evaluate
from flambeau.codegen.numerics import NARROW_FUNCTIONS

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -7.0, math.inf, -math.inf, math.nan]


def same(found: float, expected: float) -> bool:
    """Equal, to the sign of zeros; nan is nan."""
    if math.isnan(found) or math.isnan(expected):
        return math.isnan(found) and math.isnan(expected)
    return found == expected and math.copysign(1, found) == math.copysign(1, expected)


@pytest.mark.parametrize("a", SPECIAL)
@pytest.mark.parametrize("b", SPECIAL)
def test_extremes_propagate_nan_and_prefer_the_first(a: float, b: float) -> None:
    either_nan = math.isnan(a) or math.isnan(b)
    greater, lesser = (math.nan, math.nan) if either_nan else (b if b > a else a, b if b < a else a)
    assert same(evaluate("maximum(a, b)", {"a": a, "b": b}).item(), greater)
    assert same(evaluate("minimum(a, b)", {"a": a, "b": b}).item(), lesser)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (5.0, -3.0, -1.0),
        (-5.0, 3.0, 1.0),
        (-4.0, 2.0, -0.0),
        (0.0, -2.0, 0.0),
        (-1.0, math.inf, math.inf),
        (1.0, math.inf, 1.0),
        (math.inf, 2.0, math.nan),
        (1.0, 0.0, math.nan),
    ],
)
def test_remainder(a: float, b: float, expected: float) -> None:
    assert same(evaluate("remainder(a, b)", {"a": a, "b": b}).item(), expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_integer_divisions_are_consistent(dtype: type) -> None:
    info = np.iinfo(dtype)
    values = np.array([info.min, info.min + 1, 0, 1, 2, 3, 7, info.max - 1, info.max], dtype)
    if info.min < 0:
        values = np.concatenate([values, np.array([-1, -2, -3, -7], dtype)])
    a, b = (grid.ravel() for grid in np.meshgrid(values, values[values != 0]))
    names = {"a": a, "b": b}
    for quotient, rest in (("floor_divide", "remainder"), ("trunc_divide", "fmod")):
        q = evaluate(f"{quotient}(a, b)", names, dtype)
        r = evaluate(f"{rest}(a, b)", names, dtype)
        assert (evaluate("q * b + r == a", {**names, "q": q, "r": r}, dtype)).all()
        exact = [int(x) // int(y) for x, y in zip(a, b, strict=True)]
        if quotient == "trunc_divide":
            exact = [
                abs(int(x)) // abs(int(y)) * (-1 if (x < 0) != (y < 0) else 1)
                for x, y in zip(a, b, strict=True)
            ]
        wrapped = [(e - int(info.min)) % 2 ** (8 * info.dtype.itemsize) + int(info.min)
                   for e in exact]  # fmt: skip
        assert q.tolist() == wrapped


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32])
def test_shifts_by_any_count(dtype: type) -> None:
    info = np.iinfo(dtype)
    bits = 8 * info.dtype.itemsize
    counts = [0, 1, bits - 1, bits, bits + 1, info.max] + ([-1] if info.min < 0 else [])
    for value in (1, 5, info.max, info.min):
        for count in counts:
            a, b = dtype(value), dtype(count)
            left = evaluate("a << b", {"a": a, "b": b}, dtype)
            right = evaluate("a >> b", {"a": a, "b": b}, dtype)
            is_small = 0 <= count < bits
            shifted = (value << count) % 2**bits if is_small else 0
            assert int(left) % 2**bits == shifted
            assert right == (value >> (count if is_small else bits))


def test_integer_powers() -> None:
    base, exponent = np.meshgrid(np.arange(-4, 5), np.arange(-4, 6))
    found = evaluate("pow(a, b)", {"a": base, "b": exponent})
    for a, b, result in zip(base.flat, exponent.flat, found.flat, strict=True):
        if b >= 0:
            assert result == int(a) ** int(b)
        else:  # the reciprocal rounded towards zero, 0 for the pole
            assert result == (int(a) ** int(b) if abs(a) == 1 else 0)


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        (1 + 2.0**-30, 1 - 2.0**-30, -1.0, -(2.0**-60)),
        (1e200, 1e200, -math.inf, -math.inf),
        (1e200, 1e200, -1e300, math.inf),
        (1e200, -1e200, 0.0, -math.inf),
        (math.inf, 0.0, 1.0, math.nan),
        (math.inf, 1.0, -math.inf, math.nan),
        (0.0, -1.0, -0.0, -0.0),
        (0.0, 1.0, -0.0, 0.0),
        (1.0, 1.0, -1.0, 0.0),
        (math.nan, 1.0, 1.0, math.nan),
    ],
)
def test_fma_rounds_once(a: float, b: float, c: float, expected: float) -> None:
    assert same(evaluate("fma(a, b, c)", {"a": a, "b": b, "c": c}).item(), expected)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fma_of_float32_rounds_once(sign: float) -> None:
    # The exact value lies 2**-70 short of the middle of two float32.  float64 rounds it onto the
    # middle, from where a second rounding goes to the even neighbour, away from c.
    a = sign * 2.0**-24 * (1 + 2.0**-23)
    b = 1 - 2.0**-23
    c = sign * (1 + 2.0**-23)
    assert evaluate("fma(a, b, c)", {"a": a, "b": b, "c": c}, np.float32) == c
    twice = np.float32(evaluate("fma(a, b, c)", {"a": a, "b": b, "c": c}))
    assert twice == sign * (1 + 2.0**-22)


def test_odd_rounding_keeps_what_is_exact() -> None:
    def narrow(a: float, b: float, c: float) -> float:
        return float(NARROW_FUNCTIONS["fma"](*map(np.float64, (a, b, c))))

    assert narrow(3.0, 2.0, 1.0) == 7.0
    assert narrow(2.0**-60, 1.0, 1.0) == 1 + 2.0**-52
    assert narrow(-(2.0**-60), 1.0, 1.0) == 1 - 2.0**-53
