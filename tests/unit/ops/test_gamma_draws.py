"""How gamma, beta and Dirichlet numbers move with their parameters, against SciPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb

SHAPES = [0.2, 0.6, 1.0, 2.0, 7.0, 50.0, 1e4]
LEVELS = np.array([0.001, 0.1, 0.4, 0.5, 0.8, 0.999])


def _slope(quantile, at: float):
    """By central differences of the fourth order."""
    step = 1e-3 * at
    inner = quantile(at + step) - quantile(at - step)
    return (8 * inner - quantile(at + 2 * step) + quantile(at - 2 * step)) / (12 * step)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gamma_number_follows_its_quantile(shape: float) -> None:
    special = pytest.importorskip("scipy.special")
    want = _slope(lambda a: special.gammaincinv(a, LEVELS), shape)
    x = fb.tensor(special.gammaincinv(shape, LEVELS))
    got = fb._standard_gamma_grad(fb.full_like(x, shape), x).numpy()
    np.testing.assert_allclose(got, want, rtol=3e-6, atol=1e-300)


@pytest.mark.parametrize("first", [0.1, 0.5, 2.0, 30.0])
@pytest.mark.parametrize("second", [0.3, 1.0, 8.0, 500.0])
def test_a_beta_number_follows_its_quantile(first: float, second: float) -> None:
    special = pytest.importorskip("scipy.special")
    x = special.betaincinv(first, second, LEVELS)
    inside = x < 0.999
    want = _slope(lambda a: special.betaincinv(a, second, LEVELS), first)
    x = fb.tensor(x)
    got = fb._dirichlet_grad(x, fb.full_like(x, first), fb.full_like(x, first + second))
    got = (got * (1 - x)).numpy()
    np.testing.assert_allclose(got[inside], want[inside], rtol=1e-5, atol=1e-300)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_as_near_to_pytorch_as_its_approximations(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    shapes = np.array([SHAPES[:-1]] * 30, dtype)
    weights = np.random.RandomState(0).rand(*shapes.shape).astype(dtype)
    grads = []
    for library in (torch, fb):
        library.manual_seed(0)
        a = library.tensor(shapes, requires_grad=True)
        (library._standard_gamma(a) * library.tensor(weights)).sum().backward()
        grads.append(a.grad.numpy())
    np.testing.assert_allclose(grads[1], grads[0], rtol=2e-3)


def test_a_sum_over_the_simplex_does_not_move() -> None:
    a = fb.tensor([[0.3, 2.0, 5.0]], requires_grad=True)
    fb._sample_dirichlet(a).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 0, atol=1e-6)


def test_the_meta_device_draws_nothing() -> None:
    a = fb.empty(2, 3, device="meta")
    for drawn in (fb._standard_gamma(a), fb._sample_dirichlet(a), fb.binomial(a, a)):
        assert (drawn.shape, drawn.device.type) == ((2, 3), "meta")
