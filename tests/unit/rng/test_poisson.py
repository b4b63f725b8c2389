"""Poisson numbers: moments and bad input; test_golden.py compares them with PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng


@pytest.mark.parametrize("rate", [0.3, 4.0, 9.99, 10.0, 55.0, 1e6])
def test_mean_and_variance_are_the_rate(rate: float) -> None:
    n = 20000
    drawn = rng.poisson(rng.Generator().manual_seed(1), np.full(n, rate))
    assert np.all(drawn == np.floor(drawn))
    assert abs(drawn.mean() - rate) < 5 * np.sqrt(rate / n)
    assert abs(drawn.var() / rate - 1) < 0.1


def test_rate_zero_gives_zero_and_draws_nothing() -> None:
    generator = rng.Generator()
    before = generator.state_bytes()
    assert rng.poisson(generator, np.zeros((2, 3), np.float32)).tolist() == [[0.0] * 3] * 2
    assert np.array_equal(generator.state_bytes(), before)


@pytest.mark.parametrize("rate", [-1.0, np.nan, np.inf])
def test_bad_rates(rate: float) -> None:
    with pytest.raises(RuntimeError, match="non-negative and finite"):
        rng.poisson(rng.Generator(), np.array([1.0, rate]))


def test_integral_rates() -> None:
    with pytest.raises(NotImplementedError, match="int64"):
        rng.poisson(rng.Generator(), np.array([1, 2]))
