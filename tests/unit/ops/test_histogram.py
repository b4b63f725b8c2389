"""Histograms: NumPy's counts."""

import numpy as np
import pytest

import flambeau as fb

X = np.random.default_rng(0).normal(size=(40, 2))


@pytest.mark.parametrize("density", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_dimension(density, weighted):
    weight = np.arange(40.0) if weighted else None
    expected, edges = np.histogram(X[:, 0], 7, weights=weight, density=density)
    found = fb.histogram(fb.from_numpy(X[:, 0].copy()), 7, density=density,
                         weight=None if weight is None else fb.from_numpy(weight))
    np.testing.assert_allclose(found.hist.numpy(), expected)
    np.testing.assert_allclose(found.bin_edges.numpy(), edges)


def test_given_edges_and_range():
    edges = fb.tensor([-1.0, 0, 2], dtype=fb.float64)
    expected, _ = np.histogram(X, edges.numpy())
    np.testing.assert_array_equal(fb.histogram(fb.from_numpy(X), edges).hist.numpy(), expected)
    inside, _ = np.histogram(X, 4, (-1, 1))
    np.testing.assert_array_equal(fb.histogram(fb.from_numpy(X), 4, range=(-1, 1)).hist, inside)


@pytest.mark.parametrize("density", [False, True])
def test_several_dimensions(density):
    expected, edges = np.histogramdd(X, (3, 4), density=density)
    found = fb.histogramdd(fb.from_numpy(X), (3, 4), density=density)
    np.testing.assert_allclose(found.hist.numpy(), expected)
    for mine, theirs in zip(found.bin_edges, edges, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs)
    with pytest.raises(RuntimeError, match="expected 2 sequences"):
        fb.histogramdd(fb.from_numpy(X), (3, 4, 5))
    with pytest.raises(RuntimeError, match="bins must be > 0"):
        fb.histogram(fb.from_numpy(X), 0)
