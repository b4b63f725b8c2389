from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng
from flambeau.dtypes import BY_NAME

REAL = ("float32", "float64", "float16", "bfloat16")
RANGES = [(0.0, 1.0), (-0.1, 0.23), (0.0, 0.3), (1.0, 3.0), (2.0, 2.0), (-1e4, 1.1e4)]


@pytest.mark.parametrize("dtype", [*REAL, "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(), 0, 3, (2, 0), (2, 3)])
def test_shape_and_dtype(shape, dtype: str, generator: rng.Generator) -> None:
    values = rng.uniform(generator, shape, dtype)
    assert values.shape == (shape if isinstance(shape, tuple) else (shape,))
    assert values.dtype == BY_NAME[dtype].numpy


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize(("low", "high"), RANGES[:4])
def test_values_lie_in_the_half_open_range(low, high, dtype, generator) -> None:
    values = rng.uniform(generator, 20_000, dtype, low, high)
    end = np.array(high).astype(np.float32).astype(values.dtype)
    assert (values >= np.array(low).astype(values.dtype)).all()
    assert (values < end).all()
    assert abs(values.astype(np.float64).mean() - (low + high) / 2) < 0.02 * (high - low)


def test_a_half_value_that_rounds_up_to_the_end_becomes_the_start(generator) -> None:
    # The largest of 1000 uniforms is well above 1 - 2**-9, which bfloat16 rounds to 1.
    exact = rng.uniform(generator.clone_state(), 1000, "float32")
    values = rng.uniform(generator, 1000, "bfloat16")
    rounded_up = exact >= 1 - 2.0**-9
    assert rounded_up.any()
    assert (values[rounded_up] == 0).all()


def test_no_elements_take_no_words(generator: rng.Generator) -> None:
    before = generator.state_bytes()
    rng.uniform(generator, (3, 0), "float32")
    assert np.array_equal(generator.state_bytes(), before)


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8"])
def test_integral_dtypes_are_refused(dtype: str, generator: rng.Generator) -> None:
    with pytest.raises(NotImplementedError, match=f"uniform_ is not implemented for {dtype}"):
        rng.uniform(generator, 3, dtype)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "words"),
    [
        (1, 0, "float32", "found from=1 > to=0"),
        (0, 1e39, "float32", "to=1e\\+39 is out of bounds for float32"),
        (float("nan"), 0, "float64", "from=nan is out of bounds"),
        (0, float("inf"), "float32", "to=inf is out of bounds"),
        (0, 1e6, "float16", "out of bounds for float16"),
        (-60000, 60000, "float16", "expects to-from <= 65504"),
        (-3e38, 3e38, "complex64", "expects to-from <= 3.4"),
    ],
)
def test_bad_bounds(low, high, dtype, words, generator) -> None:
    with pytest.raises(RuntimeError, match=words):
        rng.uniform(generator, 3, dtype, low, high)


@pytest.mark.parametrize("dtype", [*REAL, "complex64", "complex128"])
def test_agrees_with_pytorch(dtype: str, twins) -> None:
    for shape in ((), (0,), (1,), (700,), (5, 9), (33_000,)):
        for low, high in RANGES:
            expected = twins.empty(shape, dtype).uniform_(low, high, generator=twins.theirs)
            twins.agree(rng.uniform(twins.ours, shape, dtype, low, high), expected)


@pytest.mark.parametrize("dtype", REAL)
def test_agrees_with_pytorch_on_extreme_ranges(dtype: str, twins) -> None:
    ends = {"float16": 6.5e4, "float64": 1.7e308}.get(dtype, 3e38)
    tiny = {"float16": 6e-8, "float64": 1e-320}.get(dtype, 1e-42)
    for low, high in ((-tiny, 100 * tiny), (0.0, tiny), (0.9 * ends, ends), (-ends, 0.0)):
        expected = twins.empty(500, dtype).uniform_(low, high, generator=twins.theirs)
        twins.agree(rng.uniform(twins.ours, (500,), dtype, low, high), expected)
