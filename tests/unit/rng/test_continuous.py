from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng
from flambeau.dtypes import BY_NAME
from flambeau.rng import continuous

FLOATING = ("float32", "float64", "float16", "bfloat16")
COUNTING = ("uint8", "int8", "int16", "int32", "int64", *FLOATING)


@pytest.mark.parametrize("dtype", FLOATING)
def test_exponential_moments(dtype: str, generator: rng.Generator) -> None:
    values = rng.exponential(generator, (200, 100), dtype, 2.0)
    assert (values.shape, values.dtype) == ((200, 100), BY_NAME[dtype].numpy)
    assert values.min() >= 0
    assert values.astype(np.float64).mean() == pytest.approx(0.5, rel=0.03)


def test_cauchy_quartiles(generator: rng.Generator) -> None:
    values = rng.cauchy(generator, 20_000, "float32", 1.0, 2.0)
    assert np.percentile(values, [25, 50, 75]) == pytest.approx([-1.0, 1.0, 3.0], abs=0.1)


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_geometric_counts_trials(dtype: str, generator: rng.Generator) -> None:
    values = rng.geometric(generator, 20_000, dtype, 0.25)
    assert values.dtype == BY_NAME[dtype].numpy
    assert values.min() == 1
    assert values.mean() == pytest.approx(4.0, rel=0.03)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: rng.exponential(g, 3, "float32", 0.0), "lambda > 0.0, but found lambda=0.0"),
        (lambda g: rng.exponential(g, 3, "float32", float("nan")), "found lambda=nan"),
        (lambda g: rng.cauchy(g, 3, "float32", 0.0, -1.0), "sigma > 0.0, but found sigma=-1.0"),
        (lambda g: rng.geometric(g, 3, "float32", 0.0), "in \\(0, 1\\), but got p=0.0"),
        (lambda g: rng.geometric(g, 3, "float32", 1.0), "in \\(0, 1\\), but got p=1.0"),
    ],
)
def test_bad_parameters(call, words: str, generator: rng.Generator) -> None:
    with pytest.raises(RuntimeError, match=words):
        call(generator)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: rng.exponential(g, 3, "int64"), "exponential_"),
        (lambda g: rng.cauchy(g, 3, "complex64"), "cauchy_"),
        (lambda g: rng.geometric(g, 3, "bool", 0.5), "geometric_"),
    ],
)
def test_bad_dtypes(call, name: str, generator: rng.Generator) -> None:
    with pytest.raises(NotImplementedError, match=f"{name} is not implemented for"):
        call(generator)


@pytest.mark.parametrize("dtype", FLOATING)
def test_exponential_agrees_with_pytorch(dtype: str, twins) -> None:
    for shape in ((), (0,), (33_000,)):
        for rate in (1.0, 0.3, 7.7, 1e-310, 1e5, float("inf")):
            expected = twins.empty(shape, dtype).exponential_(rate, generator=twins.theirs)
            twins.agree(rng.exponential(twins.ours, shape, dtype, rate), expected)


@pytest.mark.parametrize("dtype", FLOATING)
def test_cauchy_agrees_with_pytorch(dtype: str, twins) -> None:
    for shape in ((), (0,), (5000,)):
        for median, sigma in ((0.0, 1.0), (2.0, 3.0), (0.1, 0.7), (0.0, 1e300)):
            expected = twins.empty(shape, dtype).cauchy_(median, sigma, generator=twins.theirs)
            twins.agree(rng.cauchy(twins.ours, shape, dtype, median, sigma), expected)


@pytest.mark.parametrize("dtype", COUNTING)
def test_geometric_agrees_with_pytorch(dtype: str, twins) -> None:
    for shape in ((), (0,), (5000,)):
        for p in (0.5, 0.2, 0.999):
            expected = twins.empty(shape, dtype).geometric_(p, generator=twins.theirs)
            twins.agree(rng.geometric(twins.ours, shape, dtype, p), expected)


def test_a_rounding_in_doubt_is_settled_by_the_c_library(
    monkeypatch, generator, drawn_by
) -> None:
    if drawn_by == "host":
        pytest.skip("samplers call the C library for every number")
    settled: list[float] = []

    def settle(uniforms: np.ndarray, rate: float) -> np.ndarray:
        settled.extend(uniforms.tolist())
        return -uniforms

    monkeypatch.setattr(continuous, "_exponential", settle)
    monkeypatch.setattr(continuous, "_SLACK", 2.0**-26)  # every other rounding, then, or so
    uniforms = rng.uniform(generator.clone_state(), 2000, "float64")
    values = rng.exponential(generator, 2000, "float32")
    doubtful = values < 0
    assert 500 < np.count_nonzero(doubtful) < 1500
    assert uniforms[doubtful].tolist() == settled
    assert np.array_equal(values[doubtful], -uniforms[doubtful].astype(np.float32))
