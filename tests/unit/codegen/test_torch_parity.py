"""Formulas against the PyTorch operations whose rules they follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flambeau.codegen import FUNCTIONS, evaluate, evaluate_reduction

torch: Any = pytest.importorskip("torch")

SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -2.5, 4.0, -7.0, 1e-300, 1e300,
           np.inf, -np.inf, np.nan]  # fmt: skip
VALUES = np.concatenate([SPECIAL, np.random.default_rng(0).normal(size=200) * 3])
INTEGERS = {
    np.int8: np.array([-128, -127, -9, -8, -2, -1, 0, 1, 2, 3, 7, 8, 9, 126, 127], np.int8),
    np.uint8: np.array([0, 1, 2, 3, 7, 8, 9, 127, 128, 254, 255], np.uint8),
    np.int64: np.array([-(2**63), -65, -2, -1, 0, 1, 3, 63, 64, 2**63 - 1], np.int64),
}
UNARY = sorted(
    name
    for name, function in FUNCTIONS.items()
    if function.arity == 1 and name not in ("conj", "imag", "real")
)


def check(found: np.ndarray, expected: Any, ulps: int, signs: bool = True) -> None:
    oracle = expected.numpy()
    assert found.dtype == oracle.dtype
    if oracle.dtype.kind in "fc" and ulps:
        np.testing.assert_array_max_ulp(*np.nan_to_num((found, oracle), nan=7.5), maxulp=ulps)
    else:
        np.testing.assert_array_equal(found, oracle)
    if oracle.dtype.kind == "f":
        assert (np.isnan(found) == np.isnan(oracle)).all()
        if signs:
            assert (np.signbit(found) == np.signbit(oracle))[oracle == 0].all()


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    # torch.lgamma is only as good as libm around its zeros; test_special.py has the digits.
    values = VALUES[(VALUES > 2.5) | ~np.isfinite(VALUES)] if name == "lgamma" else VALUES
    expected = getattr(torch, name)(torch.tensor(values))
    check(evaluate(f"{name}(self)", {"self": values}), expected, ulps=4)


@pytest.mark.parametrize(
    ("text", "name", "ulps"),
    [
        ("maximum(a, b)", "maximum", 0),
        ("minimum(a, b)", "minimum", 0),
        ("remainder(a, b)", "remainder", 0),
        ("fmod(a, b)", "fmod", 0),
        ("floor_divide(a, b)", "floor_divide", 0),
        ("atan2(a, b)", "atan2", 4),
        ("pow(a, b)", "pow", 4),
        ("a / b", "div", 0),
        ("a - b", "sub", 0),
        ("a < b", "lt", 0),
        ("a != b", "ne", 0),
        ("a && b", "logical_and", 0),
        ("a || b", "logical_or", 0),
    ],
)
def test_binary(text: str, name: str, ulps: int) -> None:
    values = SPECIAL
    if name in ("remainder", "fmod"):  # torch's vectors give nan for a quotient out of range
        values = [value for value in SPECIAL if abs(value) != 1e300]
    a, b = np.meshgrid(values, values)
    expected = getattr(torch, name)(torch.tensor(a), torch.tensor(b))
    # torch's vectors and scalars disagree on which of 0.0 and -0.0 is the extreme.
    signs = name not in ("maximum", "minimum")
    check(evaluate(text, {"a": a, "b": b}), expected, ulps, signs)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_extreme_of_equal_zeros(name: str) -> None:
    for a, b in ((0.0, -0.0), (-0.0, 0.0)):
        expected = getattr(torch, name)(torch.tensor(a), torch.tensor(b)).numpy()
        found = evaluate(f"{name}(a, b)", {"a": a, "b": b})
        assert np.signbit(found) == np.signbit(expected)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a + b", "add"),
        ("a * b", "mul"),
        ("a & b", "bitwise_and"),
        ("a ^ b", "bitwise_xor"),
        ("a << b", "bitwise_left_shift"),
        ("a >> b", "bitwise_right_shift"),
        ("pow(a, b)", "pow"),
        ("maximum(a, b)", "maximum"),
    ],
)
def test_integers(text: str, name: str, dtype: type) -> None:
    a, b = np.meshgrid(INTEGERS[dtype], INTEGERS[dtype])
    expected = getattr(torch, name)(torch.tensor(a), torch.tensor(b))
    check(evaluate(text, {"a": a, "b": b}, dtype), expected, 0)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_division(dtype: type) -> None:
    values = INTEGERS[dtype]
    # torch divides the smallest int64 by -1 with the trap of the machine.
    a, b = np.meshgrid(values[values > np.iinfo(dtype).min], values[values != 0])
    first, second = torch.tensor(a), torch.tensor(b)
    for text, expected in {
        "floor_divide(a, b)": torch.div(first, second, rounding_mode="floor"),
        "trunc_divide(a, b)": torch.div(first, second, rounding_mode="trunc"),
        "remainder(a, b)": torch.remainder(first, second),
        "fmod(a, b)": torch.fmod(first, second),
    }.items():
        check(evaluate(text, {"a": a, "b": b}, dtype), expected, 0)


def test_complex() -> None:
    parts = np.random.default_rng(0).normal(size=(2, 100))
    z = parts[0] + 1j * parts[1]
    for name in ("exp", "log", "sqrt", "tanh", "asin", "log1p", "exp2", "abs", "rsqrt"):
        found = evaluate(f"{name}(z)", {"z": z})
        np.testing.assert_allclose(found, getattr(torch, name)(torch.tensor(z)).numpy(), 1e-13)


@pytest.mark.parametrize("values", [VALUES, VALUES[~np.isnan(VALUES)], np.float32([-0.0, 0.0])])
def test_reductions(values: np.ndarray) -> None:
    tensor = torch.tensor(values)
    for text, expected in {
        "init: lowest; maximum(acc, x)": tensor.amax(),
        "init: highest; minimum(acc, x)": tensor.amin(),
        "init: lowest; take: x > acc || isnan(x) && !isnan(acc)": tensor.argmax(),
        "init: highest; take: x < acc || isnan(x) && !isnan(acc)": tensor.argmin(),
        "init: false; map: x != 0; acc || x": tensor.any(),
    }.items():
        found = evaluate_reduction(text, values, dtype=values.dtype)
        np.testing.assert_array_equal(found, expected.numpy())
