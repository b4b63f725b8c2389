"""What all distributions share: checks of parameters and values, shapes, lazy parameters."""

from __future__ import annotations

import math
import warnings

import pytest

import flambeau as fb
from flambeau import distributions as D
from flambeau.distributions import constraints
from flambeau.distributions.utils import (
    broadcast_all,
    lazy_property,
    probs_to_logits,
    tril_matrix_to_vec,
    vec_to_tril_matrix,
)


# ---- the package -------------------------------------------------------------------------------
def test_the_package_has_pytorchs_names():
    torch = pytest.importorskip("torch")
    assert set(D.__all__) == set(torch.distributions.__all__)
    assert all(getattr(D, name) is not None for name in D.__all__)
    assert set(D.__all__) <= set(dir(D))


def test_modules_have_pytorchs_names():
    from flambeau.distributions.normal import Normal
    from flambeau.distributions.studentT import StudentT

    assert D.Normal is Normal
    assert D.StudentT is StudentT
    assert D.constraints is constraints


def test_unknown_name():
    with pytest.raises(AttributeError, match="Gaussian"):
        D.Gaussian  # noqa: B018


# ---- parameters --------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "given", "parameter", "constraint"), [
    ("Normal", {"loc": 0.0, "scale": -1.0}, "scale", "GreaterThan"),
    ("Normal", {"loc": math.nan, "scale": 1.0}, "loc", "Real"),
    ("Bernoulli", {"probs": 1.5}, "probs", "Interval"),
    ("Gamma", {"concentration": 0.0, "rate": 1.0}, "concentration", "GreaterThan"),
    ("Poisson", {"rate": -1.0}, "rate", "GreaterThanEq"),
    ("Uniform", {"low": 2.0, "high": 1.0}, "low", "LessThan"),
    ("StudentT", {"df": -1.0}, "df", "GreaterThan"),
    ("Binomial", {"total_count": -1, "probs": 0.5}, "total_count", "IntegerGreaterThan"),
    ("NegativeBinomial", {"total_count": 1, "probs": 1.0}, "probs", "HalfOpenInterval"),
])
def test_bad_parameters(name, given, parameter, constraint):
    with pytest.raises(ValueError, match=f"parameter {parameter} .*{name}") as caught:
        getattr(D, name)(**given)
    assert constraint in str(caught.value)
    getattr(D, name)(**given, validate_args=False)


def test_bad_matrices_and_vectors():
    eye = fb.eye(2)
    with pytest.raises(ValueError, match="covariance_matrix .*PositiveDefinite"):
        D.MultivariateNormal(fb.zeros(2), -eye)
    with pytest.raises(ValueError, match="scale_tril .*LowerCholesky"):
        D.MultivariateNormal(fb.zeros(2), scale_tril=fb.ones(2, 2))
    with pytest.raises(ValueError, match="Exactly one of"):
        D.MultivariateNormal(fb.zeros(2))
    with pytest.raises(ValueError, match="Exactly one of"):
        D.MultivariateNormal(fb.zeros(2), eye, eye)
    with pytest.raises(ValueError, match="at least two-dimensional"):
        D.MultivariateNormal(fb.zeros(2), fb.ones(2))
    with pytest.raises(ValueError, match="loc must be at least one-dimensional"):
        D.MultivariateNormal(fb.tensor(0.0), eye)
    with pytest.raises(ValueError, match="greater than ndim - 1 = 1"):
        D.Wishart(1.0, eye)
    with pytest.warns(UserWarning, match="Low df values"):
        D.Wishart(1.5, eye)
    with pytest.raises(ValueError, match="probs .*Categorical"):
        D.Categorical(probs=fb.tensor([-1.0, 2.0]))
    with pytest.raises(ValueError, match="at least one-dimensional"):
        D.Categorical(probs=fb.tensor(1.0))
    with pytest.raises(ValueError, match="at least one-dimensional"):
        D.Dirichlet(fb.tensor(1.0))
    with pytest.raises(ValueError, match="shape 3 x m"):
        D.LowRankMultivariateNormal(fb.zeros(3), fb.ones(2, 1), fb.ones(3))
    with pytest.raises(ValueError, match="Incompatible batch shapes"):
        D.LowRankMultivariateNormal(fb.zeros(2, 3), fb.ones(5, 3, 1), fb.ones(3))


@pytest.mark.parametrize("name", [
    "Bernoulli", "Categorical", "ContinuousBernoulli", "Geometric", "Binomial", "Multinomial",
    "NegativeBinomial", "OneHotCategorical"])
def test_either_chances_or_logits(name):
    more = {"total_count": 1} if "nomial" in name else {}
    given = fb.tensor([0.5, 0.5])
    for both in ({}, {"probs": given, "logits": given}):
        with pytest.raises(ValueError, match="Either `probs` or `logits`"):
            getattr(D, name)(**more, **both)


def test_chance_zero_of_a_geometric_distribution():
    with pytest.raises(ValueError, match="probs .*to be positive"):
        D.Geometric(0.0)


def test_continuous_bernoulli_clamps_unless_told_to_check():
    assert 1 - 1e-6 < D.ContinuousBernoulli(1.2).probs.item() < 1
    with pytest.raises(ValueError, match="probs has invalid values"):
        D.ContinuousBernoulli(1.2, validate_args=True)


def test_numbers_of_numpy_and_integral_values():
    numpy = pytest.importorskip("numpy")
    assert D.Normal(numpy.float32(0), 1).log_prob(fb.tensor(0)).item() == pytest.approx(-0.9189385)
    for made in (D.Poisson(1.0), D.Geometric(0.5), D.Binomial(5, 0.5), D.Bernoulli(0.5)):
        whole, real = (made.log_prob(fb.tensor([1, 0], dtype=d)) for d in (fb.int64, fb.float32))
        assert whole.tolist() == real.tolist()


def test_multinomial_of_several_counts():
    with pytest.raises(NotImplementedError, match="inhomogeneous total_count"):
        D.Multinomial(fb.tensor([1, 2]), probs=fb.ones(2))
    with pytest.raises(NotImplementedError, match="Inhomogeneous total count"):
        D.Binomial(fb.tensor([1.0, 2.0]), probs=fb.tensor(0.5)).enumerate_support()


def test_checks_are_switched_for_all():
    D.Distribution.set_default_validate_args(False)
    try:
        D.Normal(0.0, -1.0)
        with pytest.raises(ValueError, match="scale"):
            D.Normal(0.0, -1.0, validate_args=True)
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="True or False"):
        D.Distribution.set_default_validate_args("yes")


# ---- values ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("distribution", "value", "words"), [
    (lambda: D.Bernoulli(0.5), 0.3, "support \\(Boolean\\(\\)\\)"),
    (lambda: D.Gamma(1.0, 1.0), -1.0, "support \\(GreaterThanEq"),
    (lambda: D.Normal(0.0, 1.0), math.nan, "support \\(Real"),
    (lambda: D.Uniform(0.0, 1.0), 2.0, "support \\(Interval"),
    (lambda: D.Categorical(fb.ones(3)), 3, "support \\(IntegerInterval"),
    (lambda: D.Normal(fb.zeros(3), 1.0), [1.0, 2.0], "broadcastable"),
    (lambda: D.Dirichlet(fb.ones(3)), [0.5, 0.5], "event_shape"),
    (lambda: D.Dirichlet(fb.ones(3)), 0.5, "event_shape"),
    (lambda: D.OneHotCategorical(fb.ones(3)), [1.0, 1.0, 0.0], "support \\(OneHot"),
    (lambda: D.Multinomial(2, fb.ones(3)), [3.0, 0.0, 0.0], "support \\(Multinomial"),
])
def test_bad_values(distribution, value, words):
    with pytest.raises(ValueError, match=words):
        distribution().log_prob(fb.tensor(value))


def test_a_value_must_be_a_tensor():
    with pytest.raises(ValueError, match="must be a Tensor"):
        D.Normal(0.0, 1.0).log_prob(1.0)


def test_values_are_not_checked_where_arguments_are_not():
    assert D.Uniform(0.0, 1.0, validate_args=False).log_prob(fb.tensor(2.0)).item() == -math.inf


# ---- classes of users --------------------------------------------------------------------------
class Coin(D.Distribution):
    """A distribution that says next to nothing of itself."""

    def log_prob(self, value):
        self._validate_sample(value)
        return fb.full_like(value, math.log(0.5))


def test_a_class_without_constraints_warns():
    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        coin = Coin()
    with pytest.warns(UserWarning, match="does not define `support`"):
        coin.log_prob(fb.tensor(1.0))
    for name in ("mean", "mode", "variance", "support"):
        with pytest.raises(NotImplementedError, match=name):
            getattr(coin, name)
    for call in (coin.entropy, coin.rsample, coin.enumerate_support):
        with pytest.raises(NotImplementedError):
            call()
    for call in (coin.cdf, coin.icdf, coin.expand):
        with pytest.raises(NotImplementedError):
            call(fb.tensor(0.5))
    assert repr(coin) == "Coin()"


class Unit(D.Normal):
    """A subclass with a constructor of its own."""

    def __init__(self, loc):
        super().__init__(loc, 1.0)


def test_a_subclass_with_a_constructor_needs_its_own_expand():
    with pytest.raises(NotImplementedError, match=r"Unit of Normal .*\.expand"):
        Unit(0.0).expand((2,))


class Shifted(D.Gamma):
    """A subclass without one."""


def test_a_subclass_expands_to_itself():
    wider = Shifted(1.0, 2.0).expand((3,))
    assert type(wider) is Shifted
    assert wider.sample().shape == (3,)
    assert type(D.Chi2(3.0).expand((2,))) is D.Chi2


def test_sample_n():
    with pytest.warns(FutureWarning, match="sample_n"):
        assert D.Normal(fb.zeros(2), 1.0).sample_n(3).shape == (3, 2)


def test_samples_carry_no_gradient():
    loc = fb.zeros(2, requires_grad=True)
    assert not D.Normal(loc, 1.0).sample().requires_grad
    assert D.Normal(loc, 1.0).rsample().requires_grad
    assert not D.Bernoulli(logits=loc).sample().requires_grad
    assert not D.Categorical(logits=loc).sample().requires_grad


def test_dtypes_and_numbers():
    assert D.Normal(0, 1).sample().dtype == fb.float32
    assert D.Normal(fb.zeros(2, dtype=fb.float64), 1).sample().dtype == fb.float64
    assert D.Categorical(fb.ones(3, dtype=fb.float64)).sample().dtype == fb.int64
    assert D.Multinomial(3, fb.ones(3, dtype=fb.float64)).sample().dtype == fb.float64


# ---- helpers -----------------------------------------------------------------------------------
def test_broadcast_all():
    a, b = broadcast_all(fb.zeros(2, 1, dtype=fb.float64), 3)
    assert (a.shape, b.shape, b.dtype) == ((2, 1), (2, 1), fb.float64)
    assert [x.dtype for x in broadcast_all(1, 2.0)] == [fb.float32] * 2
    with pytest.raises(ValueError, match="list"):
        broadcast_all([1.0], 2.0)


def test_lazy_property_is_worked_out_once_and_with_gradient():
    calls = []

    class Holder:
        @lazy_property
        def double(self):
            """Twice as much."""
            calls.append(1)
            return fb.ones(2, requires_grad=True) * 2

    holder = Holder()
    with fb.no_grad():
        assert holder.double.requires_grad
    assert holder.double is holder.double
    assert calls == [1]
    assert isinstance(Holder.double, lazy_property)
    assert Holder.double.__doc__ == "Twice as much."


def test_logits_of_sure_chances_are_finite():
    assert probs_to_logits(fb.tensor([0.0, 1.0]), is_binary=True).isfinite().all()


@pytest.mark.parametrize("diagonal", [-1, 0, 1])
def test_triangles_as_vectors(diagonal):
    lower = fb.arange(32.0).reshape(2, 4, 4).tril(diagonal)
    vector = tril_matrix_to_vec(lower, diagonal)
    assert vec_to_tril_matrix(vector, diagonal).tolist() == lower.tolist()
    with pytest.raises(ValueError, match="outside"):
        tril_matrix_to_vec(lower, 4)
    with pytest.raises(ValueError, match="lower triangular part"):
        vec_to_tril_matrix(fb.ones(5), 0)


# ---- made of others ----------------------------------------------------------------------------
def test_independent():
    base = D.Normal(fb.zeros(4, 2, 3), 1.0)
    made = D.Independent(base, 2)
    assert (made.batch_shape, made.event_shape) == ((4,), (2, 3))
    value = made.rsample((5,))
    fb.testing.assert_close(made.log_prob(value), base.log_prob(value).sum((-1, -2)))
    assert made.entropy().shape == (4,)
    assert made.expand((7, 4)).sample().shape == (7, 4, 2, 3)
    assert made.mean.shape == made.variance.shape == made.mode.shape == (4, 2, 3)
    assert repr(made).startswith("Independent(Normal(")
    assert (made.support.event_dim, made.has_rsample) == (2, True)
    with pytest.raises(ValueError, match="3 vs 1"):
        D.Independent(D.Normal(fb.zeros(4), 1.0), 3)
    with pytest.raises(NotImplementedError, match="cartesian product"):
        D.Independent(D.Bernoulli(fb.full((2,), 0.5)), 1).enumerate_support()
    assert D.Independent(D.Bernoulli(fb.full((2,), 0.5)), 0).enumerate_support().shape == (2, 2)


COMPONENTS = {
    "Normal": lambda lib: lib.distributions.Normal(
        lib.tensor([[0.0, 1.0, -2.0], [3.0, 0.5, 1.0]]), lib.tensor([1.0, 0.3, 2.0])),
    "Independent": lambda lib: lib.distributions.Independent(lib.distributions.Normal(
        lib.arange(12.0).reshape(2, 3, 2) / 5, lib.ones(2, 3, 2)), 1),
    "MultivariateNormal": lambda lib: lib.distributions.MultivariateNormal(
        lib.arange(12.0).reshape(2, 3, 2) / 5, lib.eye(2)),
    "Poisson": lambda lib: lib.distributions.Poisson(
        lib.tensor([[0.3, 1.0, 8.0], [3.0, 0.5, 1.0]])),
}


@pytest.mark.parametrize("name", COMPONENTS)
@pytest.mark.parametrize("weights", [[[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], [0.2, 0.3, 0.5]])
def test_mixture(name, weights):
    torch = pytest.importorskip("torch")
    ours, theirs = (
        lib.distributions.MixtureSameFamily(
            lib.distributions.Categorical(lib.tensor(weights)), COMPONENTS[name](lib))
        for lib in (fb, torch))
    assert repr(ours) == repr(theirs).replace("torch.Size", "flambeau.Size")
    if len(ours.mixture_distribution.batch_shape):
        torch.manual_seed(0)
        fb.manual_seed(0)
        values = theirs.sample((6,))
        torch.testing.assert_close(torch.tensor(ours.sample((6,)).numpy()), values)
        wider = ours.expand((5, 2))
        assert wider.log_prob(wider.sample()).shape == (5, 2)
    else:
        values = theirs.component_distribution.sample((6,))[:, :, 0]
        assert ours.sample((6,)).shape == tuple(values.shape)
    got = ours.log_prob(fb.tensor(values.numpy()))
    torch.testing.assert_close(torch.tensor(got.numpy()), theirs.log_prob(values))
    for fact in ("mean", "variance"):
        torch.testing.assert_close(
            torch.tensor(getattr(ours, fact).numpy()), getattr(theirs, fact))
    if name == "Normal":
        torch.testing.assert_close(
            torch.tensor(ours.cdf(fb.tensor(values.numpy())).numpy()), theirs.cdf(values))


def test_mixture_of_what_does_not_go_together():
    weights = D.Categorical(fb.ones(3))
    with pytest.raises(ValueError, match="Categorical"):
        D.MixtureSameFamily(D.Normal(0.0, 1.0), D.Normal(fb.zeros(3), 1.0))
    with pytest.raises(ValueError, match="Distribution"):
        D.MixtureSameFamily(weights, 3)
    with pytest.raises(ValueError, match=r"\(3\) does not equal .*\(2\)"):
        D.MixtureSameFamily(weights, D.Normal(fb.zeros(2), 1.0))
    with pytest.raises(ValueError, match="not compatible"):
        D.MixtureSameFamily(
            D.Categorical(fb.ones(4, 3)), D.Normal(fb.zeros(5, 3), 1.0))


# ---- exponential families ----------------------------------------------------------------------
@pytest.mark.parametrize("distribution", [
    lambda: D.Bernoulli(fb.tensor([0.3, 0.8])),
    lambda: D.ContinuousBernoulli(fb.tensor([0.3, 0.8])),
    lambda: D.Exponential(fb.tensor([0.3, 2.0])),
    lambda: D.Gamma(fb.tensor([2.0, 3.0]), fb.tensor([1.0, 2.0])),
    lambda: D.Normal(fb.tensor([0.0, 1.0]), fb.tensor([1.0, 2.0])),
])
def test_entropy_by_the_normalizer(distribution):
    made = distribution()
    general = D.ExponentialFamily.entropy(made)
    assert general.tolist() == pytest.approx(made.entropy().tolist(), rel=1e-4)


def test_families_without_formulas():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        family = D.ExponentialFamily()
    for name in ("_natural_params", "_mean_carrier_measure"):
        with pytest.raises(NotImplementedError):
            getattr(family, name)
    with pytest.raises(NotImplementedError):
        family._log_normalizer()
