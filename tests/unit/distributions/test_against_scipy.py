"""Densities, distribution functions and moments against SciPy's distributions."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributions as D

stats = pytest.importorskip("scipy.stats")
X = np.array([0.05, 0.3, 0.6, 0.95])
K = np.arange(4.0)


def _double(*values):
    return [fb.tensor(value, dtype=fb.float64) for value in values]


CONTINUOUS = {
    "Beta": (lambda: D.Beta(*_double(2.0, 0.7)), stats.beta(2.0, 0.7)),
    "Cauchy": (lambda: D.Cauchy(*_double(0.3, 2.0)), stats.cauchy(0.3, 2.0)),
    "Chi2": (lambda: D.Chi2(*_double(3.0)), stats.chi2(3.0)),
    "Exponential": (lambda: D.Exponential(*_double(3.0)), stats.expon(scale=1 / 3)),
    "FisherSnedecor": (lambda: D.FisherSnedecor(*_double(3.0, 7.0)), stats.f(3.0, 7.0)),
    "Gamma": (lambda: D.Gamma(*_double(2.5, 3.0)), stats.gamma(2.5, scale=1 / 3)),
    "Laplace": (lambda: D.Laplace(*_double(0.3, 2.0)), stats.laplace(0.3, 2.0)),
    "Normal": (lambda: D.Normal(*_double(0.3, 2.0)), stats.norm(0.3, 2.0)),
    "StudentT": (lambda: D.StudentT(*_double(5.0, 0.3, 2.0)), stats.t(5.0, 0.3, 2.0)),
    "Uniform": (lambda: D.Uniform(*_double(-1.0, 2.0)), stats.uniform(-1.0, 3.0)),
    "VonMises": (lambda: D.VonMises(*_double(0.3, 2.0)), stats.vonmises(2.0, 0.3)),
}
DISCRETE = {
    "Bernoulli": (lambda: D.Bernoulli(*_double(0.3)), stats.bernoulli(0.3), K[:2]),
    "Binomial": (lambda: D.Binomial(5, *_double(0.3)), stats.binom(5, 0.3), K),
    "Geometric": (lambda: D.Geometric(*_double(0.3)), stats.geom(0.3, loc=-1), K),
    "NegativeBinomial": (lambda: D.NegativeBinomial(5, *_double(0.3)), stats.nbinom(5, 0.7), K),
    "Poisson": (lambda: D.Poisson(*_double(1.7)), stats.poisson(1.7), K),
}


def _entropy_or_none(distribution):
    try:
        return distribution.entropy()
    except NotImplementedError:
        return None


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name):
    make, theirs = CONTINUOUS[name]
    ours = make()
    np.testing.assert_allclose(
        ours.log_prob(fb.tensor(X)).numpy(), theirs.logpdf(X), rtol=1e-10, atol=1e-12)
    try:
        np.testing.assert_allclose(ours.cdf(fb.tensor(X)).numpy(), theirs.cdf(X), rtol=1e-10)
    except NotImplementedError:
        assert name in ("Beta", "FisherSnedecor", "StudentT", "VonMises")
    if name not in ("Cauchy", "VonMises"):
        assert ours.mean.item() == pytest.approx(theirs.mean())
        assert ours.variance.item() == pytest.approx(theirs.var())
    entropy = _entropy_or_none(ours)
    assert entropy is None or entropy.item() == pytest.approx(theirs.entropy())


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    make, theirs, values = DISCRETE[name]
    ours = make()
    np.testing.assert_allclose(
        ours.log_prob(fb.tensor(values)).numpy(), theirs.logpmf(values), rtol=1e-10)
    assert ours.mean.item() == pytest.approx(theirs.mean())
    assert ours.variance.item() == pytest.approx(theirs.var())
    entropy = _entropy_or_none(ours)
    assert entropy is None or entropy.item() == pytest.approx(theirs.entropy(), rel=1e-6)


def test_vectors():
    random = np.random.RandomState(0)
    factor = random.rand(3, 3)
    covariance, loc, x = factor @ factor.T + np.eye(3), random.rand(3), random.rand(5, 3)
    normal = D.MultivariateNormal(fb.tensor(loc), fb.tensor(covariance))
    theirs = stats.multivariate_normal(loc, covariance)
    np.testing.assert_allclose(normal.log_prob(fb.tensor(x)).numpy(), theirs.logpdf(x))
    assert normal.entropy().item() == pytest.approx(theirs.entropy())
    low = D.LowRankMultivariateNormal(fb.tensor(loc), fb.tensor(factor), fb.ones(3).double())
    np.testing.assert_allclose(low.log_prob(fb.tensor(x)).numpy(), theirs.logpdf(x))
    np.testing.assert_allclose(low.precision_matrix.numpy(), np.linalg.inv(covariance))


def test_simplex_counts_and_matrices():
    alpha, point = np.array([0.7, 2.0, 3.0]), np.array([0.2, 0.3, 0.5])
    dirichlet = D.Dirichlet(fb.tensor(alpha))
    theirs = stats.dirichlet(alpha)
    assert dirichlet.log_prob(fb.tensor(point)).item() == pytest.approx(theirs.logpdf(point))
    assert dirichlet.entropy().item() == pytest.approx(theirs.entropy())
    counts = D.Multinomial(4, fb.tensor(point))
    theirs = stats.multinomial(4, point)
    assert counts.log_prob(fb.tensor([1.0, 1.0, 2.0])).item() == pytest.approx(
        theirs.logpmf([1, 1, 2]))
    assert counts.entropy().item() == pytest.approx(theirs.entropy())
    scale = np.array([[2.0, 0.3], [0.3, 1.0]])
    wishart = D.Wishart(fb.tensor(5.0).double(), fb.tensor(scale))
    theirs = stats.wishart(5.0, scale)
    assert wishart.log_prob(fb.tensor(3 * scale)).item() == pytest.approx(
        theirs.logpdf(3 * scale))
    assert wishart.entropy().item() == pytest.approx(theirs.entropy())
    np.testing.assert_allclose(wishart.variance.numpy(), theirs.var())
