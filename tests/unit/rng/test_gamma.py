"""Gamma and Dirichlet numbers: equal to PyTorch's, moments, and limits."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau import rng

SHAPES = [0.01, 0.1, 0.5, 0.99, 1.0, 1.5, 3.0, 10.0, 100.0, 1e4]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gamma_numbers_are_those_of_pytorch(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    shapes = np.array([SHAPES] * 60, dtype)
    torch.manual_seed(3)
    want = torch._standard_gamma(torch.tensor(shapes)).numpy()
    got = rng.standard_gamma(rng.Generator().manual_seed(3), shapes)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dirichlet_numbers_are_those_of_pytorch(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    concentrations = np.array([[0.05, 0.5, 3.0], [4.0, 1.0, 20.0]] * 50, dtype)
    torch.manual_seed(3)
    want = torch._sample_dirichlet(torch.tensor(concentrations)).numpy()
    got = rng.dirichlet(rng.Generator().manual_seed(3), concentrations)
    np.testing.assert_allclose(got, want, rtol=0 if dtype == "float32" else 4e-16)


@pytest.mark.parametrize("shape", [0.3, 1.0, 2.5, 40.0])
def test_mean_and_variance_are_the_shape(shape: float) -> None:
    n = 20000
    drawn = rng.standard_gamma(rng.Generator().manual_seed(1), np.full(n, shape))
    assert abs(drawn.mean() - shape) < 5 * np.sqrt(shape / n)
    assert abs(drawn.var() / shape - 1) < 0.15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_normal_and_parts_below_one(dtype: str) -> None:
    tiny = np.full(200, 1e-3, dtype)
    assert rng.standard_gamma(rng.Generator(), tiny).min() == np.finfo(dtype).tiny
    parts = rng.dirichlet(rng.Generator(), np.array([[1e-3, 50.0]] * 50, dtype))
    assert parts.min() >= np.finfo(dtype).tiny
    assert parts.max() == np.nextafter(np.ones((), dtype), np.zeros((), dtype))


def test_shape_zero_and_shapes_below() -> None:
    drawn = rng.standard_gamma(rng.Generator(), np.array([0.0, -5.0]))
    assert drawn[0] == np.finfo(np.float64).tiny
    assert np.isnan(drawn[1])


def test_integral_shapes() -> None:
    with pytest.raises(NotImplementedError, match="int64"):
        rng.standard_gamma(rng.Generator(), np.array([1, 2]))
