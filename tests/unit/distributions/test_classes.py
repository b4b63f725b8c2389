"""Every distribution against PyTorch's: samples of a seed, functions, moments, gradients."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributions as D

BATCHES = [(), (2, 3)]
FACTS = ("mean", "mode", "variance", "stddev")

# What values are made of: (lowest, highest), or one of the kinds of _value.
POSITIVE = (0.3, 4.0)
REAL = (-2.0, 2.0)
CHANCE = (0.05, 0.95)

CASES = {
    "Bernoulli/probs": {"probs": CHANCE},
    "Bernoulli/logits": {"logits": REAL},
    "Beta": {"concentration1": POSITIVE, "concentration0": POSITIVE},
    "Binomial/probs": {"total_count": 12, "probs": CHANCE},
    "Binomial/logits": {"total_count": 40, "logits": REAL},
    "Categorical/probs": {"probs": "simplex"},
    "Categorical/logits": {"logits": "vector"},
    "Cauchy": {"loc": REAL, "scale": POSITIVE},
    "Chi2": {"df": POSITIVE},
    "ContinuousBernoulli/probs": {"probs": (0.05, 0.4)},
    "ContinuousBernoulli/middle": {"probs": (0.4991, 0.5009)},
    "ContinuousBernoulli/logits": {"logits": (0.5, 3.0)},
    "Dirichlet": {"concentration": "concentration"},
    "Exponential": {"rate": POSITIVE},
    "FisherSnedecor": {"df1": (1.0, 9.0), "df2": (1.0, 9.0)},
    "Gamma": {"concentration": POSITIVE, "rate": POSITIVE},
    "Geometric/probs": {"probs": CHANCE},
    "Geometric/logits": {"logits": REAL},
    "Laplace": {"loc": REAL, "scale": POSITIVE},
    "LowRankMultivariateNormal": {
        "loc": "vector", "cov_factor": "tall", "cov_diag": "concentration"},
    "Multinomial/probs": {"total_count": 7, "probs": "simplex"},
    "Multinomial/logits": {"total_count": 3, "logits": "vector"},
    "MultivariateNormal/covariance": {"loc": "vector", "covariance_matrix": "definite"},
    "MultivariateNormal/precision": {"loc": "vector", "precision_matrix": "definite"},
    "MultivariateNormal/factor": {"loc": "vector", "scale_tril": "factor"},
    "NegativeBinomial/probs": {"total_count": 5, "probs": CHANCE},
    "NegativeBinomial/logits": {"total_count": 2.5, "logits": REAL},
    "Normal": {"loc": REAL, "scale": POSITIVE},
    "OneHotCategorical/probs": {"probs": "simplex"},
    "OneHotCategorical/logits": {"logits": "vector"},
    "OneHotCategoricalStraightThrough": {"probs": "simplex"},
    "Poisson": {"rate": (0.1, 30.0)},
    "StudentT": {"df": (2.1, 6.0), "loc": REAL, "scale": POSITIVE},
    "Uniform": {"low": REAL, "high": (2.5, 4.0)},
    "VonMises": {"loc": REAL, "concentration": POSITIVE},
    "Wishart/covariance": {"df": (4.0, 9.0), "covariance_matrix": "definite"},
    "Wishart/factor": {"df": (6.0, 8.0), "scale_tril": "factor"},
}

# Where the two compute by other formulas, or by matrix factors of other libraries.
LOOSE = {"Wishart": 2e-4, "LowRankMultivariateNormal": 2e-5, "MultivariateNormal": 2e-5}
# Gradients of draws: PyTorch approximates those of gamma and beta numbers.
APPROXIMATE = {"Beta", "Chi2", "Dirichlet", "FisherSnedecor", "Gamma", "StudentT", "Wishart"}

everything = pytest.mark.parametrize("case", CASES)
every_batch = pytest.mark.parametrize("batch", BATCHES, ids=str)


def _value(kind, batch, random):
    if not isinstance(kind, (tuple, str)):
        return kind
    if isinstance(kind, tuple):
        return random.uniform(*kind, size=batch).astype(np.float32)
    shape = {"tall": (*batch, 4, 2), "definite": (*batch, 4, 4), "factor": (*batch, 4, 4)}
    noise = random.uniform(-1, 1, size=shape.get(kind, (*batch, 4)))
    if kind == "simplex":
        noise = np.exp(noise) / np.exp(noise).sum(-1, keepdims=True)
    elif kind == "concentration":
        noise = noise + 1.5
    elif kind == "definite":
        noise = noise @ np.swapaxes(noise, -1, -2) + np.eye(4)
    elif kind == "factor":
        noise = np.tril(noise, -1) + np.eye(4) * 1.5
    return noise.astype(np.float32)


def parameters(case, batch, seed=0):
    random = np.random.RandomState(seed)
    return {name: _value(kind, batch, random) for name, kind in CASES[case].items()}


def build(library, case, given, *, grad=False):
    tensors = {
        name: library.tensor(value, requires_grad=grad) if isinstance(value, np.ndarray)
        else value
        for name, value in given.items()}
    return getattr(library.distributions, case.partition("/")[0])(**tensors), tensors


@pytest.fixture
def torch():
    library = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Singular sample")  # which it says of regular ones
        yield library


def pair(torch, case, batch):
    given = parameters(case, batch)
    return build(fb, case, given)[0], build(torch, case, given)[0]


def tolerance(case):
    return LOOSE.get(case.partition("/")[0], 1e-5)


def near(case, got, want):
    bound = tolerance(case)
    got, want = got.detach().numpy(), want.detach().numpy()
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=bound, atol=bound)


def values_of(torch, case, batch, shape=(5,)):
    """Samples, drawn by PyTorch."""
    given = parameters(case, batch)
    torch.manual_seed(4)
    return build(torch, case, given)[0].sample(shape)


@everything
@every_batch
def test_shapes_and_printing(torch, case, batch):
    ours, theirs = pair(torch, case, batch)
    assert ours.batch_shape == tuple(theirs.batch_shape) == batch
    assert ours.event_shape == tuple(theirs.event_shape)
    assert repr(ours) == repr(theirs).replace("torch.Size", "flambeau.Size")
    for name in ("has_rsample", "has_enumerate_support"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert repr(ours.support) == repr(theirs.support)


@everything
@every_batch
@pytest.mark.parametrize("shape", [(), (4, 5)], ids=str)
def test_samples_are_those_of_the_seed(torch, case, batch, shape):
    ours, theirs = pair(torch, case, batch)
    torch.manual_seed(11)
    fb.manual_seed(11)
    for method in ("sample", "rsample") if theirs.has_rsample else ("sample",):
        got, want = getattr(ours, method)(shape), getattr(theirs, method)(shape)
        assert got.shape == tuple(want.shape)
        assert not got.requires_grad
        np.testing.assert_allclose(
            got.numpy(), want.numpy(), rtol=tolerance(case), atol=tolerance(case))
    # as many numbers were drawn
    assert fb.rand(2).tolist() == torch.rand(2).tolist()


EXACT = {
    "Bernoulli", "Beta", "Binomial", "Categorical", "Chi2", "Dirichlet", "Exponential", "Gamma",
    "Multinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Poisson",
    "Uniform",
}
"""Of which samples are equal to the bit."""


@pytest.mark.parametrize("case", [c for c in CASES if c.partition("/")[0] in EXACT])
def test_samples_are_equal_to_the_bit(torch, case):
    ours, theirs = pair(torch, case, (3,))
    torch.manual_seed(11)
    fb.manual_seed(11)
    np.testing.assert_array_equal(ours.sample((40,)).numpy(), theirs.sample((40,)).numpy())


@everything
@every_batch
def test_log_prob(torch, case, batch):
    ours, theirs = pair(torch, case, batch)
    for shape in ((), (5,), (2, 5)):
        values = values_of(torch, case, batch, shape)
        near(case, ours.log_prob(fb.tensor(values.numpy())), theirs.log_prob(values))


@everything
@every_batch
def test_facts_and_entropy(torch, case, batch):
    ours, theirs = pair(torch, case, batch)
    for name in FACTS:
        try:
            want = getattr(theirs, name)
        except NotImplementedError:
            with pytest.raises(NotImplementedError):
                getattr(ours, name)
            continue
        near(case, getattr(ours, name), want)
    for name in ("entropy", "perplexity"):
        try:
            want = getattr(theirs, name)()
        except NotImplementedError:
            with pytest.raises(NotImplementedError):
                getattr(ours, name)()
            continue
        near(case, getattr(ours, name)(), want)


@everything
@every_batch
def test_cdf_and_icdf(torch, case, batch):
    ours, theirs = pair(torch, case, batch)
    values = values_of(torch, case, batch)
    levels = torch.rand(values.shape) * 0.98 + 0.01
    for name, at in (("cdf", values), ("icdf", levels)):
        try:
            want = getattr(theirs, name)(at)
        except NotImplementedError:
            with pytest.raises(NotImplementedError):
                getattr(ours, name)(fb.tensor(at.numpy()))
            continue
        near(case, getattr(ours, name)(fb.tensor(at.numpy())), want)


@everything
@pytest.mark.parametrize("expand", [True, False])
def test_enumerate_support(torch, case, expand):
    ours, theirs = pair(torch, case, (2, 3))
    try:
        want = theirs.enumerate_support(expand)
    except NotImplementedError:
        with pytest.raises(NotImplementedError):
            ours.enumerate_support(expand)
        return
    near(case, ours.enumerate_support(expand), want)


@everything
@pytest.mark.parametrize(("batch", "wider"), [((), (2,)), ((3,), (2, 3)), ((1,), (5, 4))], ids=str)
def test_expand(torch, case, batch, wider):
    ours, theirs = (d.expand(wider) for d in pair(torch, case, batch))
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.batch_shape == wider
    values = values_of(torch, case, batch, wider[: len(wider) - len(batch)])
    near(case, ours.log_prob(fb.tensor(values.numpy())), theirs.log_prob(values))
    near(case, ours.variance, theirs.variance)
    torch.manual_seed(2)
    fb.manual_seed(2)
    near(case, ours.sample((3,)), theirs.sample((3,)))
    assert repr(ours.expand((2, *wider))) == repr(
        theirs.expand((2, *wider))).replace("torch.Size", "flambeau.Size")


@everything
@every_batch
def test_gradients_of_log_prob(torch, case, batch):
    given, values = parameters(case, batch), values_of(torch, case, batch)
    grads = []
    for library, value in ((fb, fb.tensor(values.numpy())), (torch, values)):
        distribution, tensors = build(library, case, given, grad=True)
        distribution.log_prob(value).sum().backward()
        grads.append({n: t.grad for n, t in tensors.items() if hasattr(t, "grad")})
    for name, want in grads[1].items():
        got = grads[0][name].numpy()
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-4, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("case", [
    c for c in CASES
    # PyTorch writes over what the gradient of drawn matrices needs: see the test of those
    if getattr(D, c.partition("/")[0]).has_rsample and not c.startswith("Wishart")])
@every_batch
def test_gradients_of_draws(torch, case, batch):
    given = parameters(case, batch)
    grads = []
    for library in (fb, torch):
        library.manual_seed(3)
        distribution, tensors = build(library, case, given, grad=True)
        drawn = distribution.rsample((4,))
        weights = library.tensor(np.cos(np.arange(drawn.numel())).astype(np.float32))
        (drawn.reshape(-1) * weights).sum().backward()
        grads.append({n: t.grad for n, t in tensors.items() if hasattr(t, "grad")})
    rtol = 3e-3 if case.partition("/")[0] in APPROXIMATE else 2e-5
    for name, want in grads[1].items():
        if want is not None:
            got = grads[0][name].numpy()
            np.testing.assert_allclose(
                got, want.numpy(), rtol=rtol, atol=rtol * max(1, want.abs().max().item()),
                err_msg=name)


def test_gradient_of_drawn_matrices():
    factor = fb.tensor([[1.5, 0.0], [0.4, 0.8]], dtype=fb.float64, requires_grad=True)

    def draw(factor):
        fb.manual_seed(0)
        return D.Wishart(fb.tensor(4.0, dtype=fb.float64), scale_tril=factor).rsample((3,))

    draw(factor).sum().backward()
    with fb.no_grad():
        for place in ((0, 0), (1, 0), (1, 1)):
            step = fb.zeros_like(factor)
            step[place] = 1e-6
            slope = (draw(factor + step) - draw(factor - step)).sum() / 2e-6
            assert factor.grad[place].item() == pytest.approx(slope.item(), rel=1e-6)


@everything
def test_numbers_of_the_meta_device(case):
    given = parameters(case, (3,))
    on_meta = {
        name: fb.tensor(value, device="meta") if isinstance(value, np.ndarray) else value
        for name, value in given.items()}
    here = build(fb, case, given)[0]
    there = getattr(D, case.partition("/")[0])(**on_meta)
    drawn = there.sample((2,))
    assert drawn.device.type == "meta"
    assert drawn.shape == here.sample((2,)).shape
    assert there.log_prob(drawn).shape == (2, 3)


@pytest.mark.parametrize("case", [
    c for c in CASES
    if c.partition("/")[0] not in ("Cauchy", "Categorical", "FisherSnedecor", "VonMises")])
def test_draws_have_the_moments(case):
    distribution = build(fb, case, parameters(case, ()))[0]
    fb.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = distribution.sample((2000,)).double()
    mean, variance = (x.double() for x in (distribution.mean, distribution.variance))
    error = (drawn.mean(0) - mean).abs()
    assert (error < 6 * (variance / 2000).sqrt() + 1e-9).all()
