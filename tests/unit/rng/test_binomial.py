"""Binomial numbers: equal to PyTorch's, moments, and limits."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng

COUNTS = [1.0, 5.0, 15.0, 30.0, 77.0, 100.0, 1000.0, 1e6]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_those_of_pytorch(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    counts = np.array(COUNTS * 60, dtype)
    probs = np.random.RandomState(0).rand(counts.size).astype(dtype)
    torch.manual_seed(3)
    want = torch.binomial(torch.tensor(counts), torch.tensor(probs)).numpy()
    got = rng.binomial(rng.Generator().manual_seed(3), counts, probs)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("count", "prob"), [(8.0, 0.2), (8.0, 0.9), (60.0, 0.4), (900.0, 0.8)])
def test_mean_and_variance(count: float, prob: float) -> None:
    n = 20000
    drawn = rng.binomial(rng.Generator().manual_seed(1), np.full(n, count), np.full(n, prob))
    assert np.all((drawn == np.floor(drawn)) & (drawn >= 0) & (drawn <= count))
    variance = count * prob * (1 - prob)
    assert abs(drawn.mean() - count * prob) < 5 * np.sqrt(variance / n)
    assert abs(drawn.var() / variance - 1) < 0.1


def test_certain_numbers_draw_nothing() -> None:
    generator = rng.Generator()
    before = generator.state_bytes()
    drawn = rng.binomial(generator, np.array([4.0, 4.0, 0.0]), np.array([0.0, 1.0, 0.5]))
    assert drawn.tolist() == [0.0, 4.0, 0.0]
    assert np.isnan(rng.binomial(generator, np.array([4.0]), np.array([np.nan]))).all()
    assert np.array_equal(generator.state_bytes(), before)


def test_integral_counts() -> None:
    with pytest.raises(NotImplementedError, match="int64"):
        rng.binomial(rng.Generator(), np.array([1, 2]), np.array([1, 1]))
