"""Distributions of transformed values, and their relatives, against PyTorch's."""

import math
import pickle
import re
import warnings

import pytest

import flambeau as fb
from flambeau import distributions as D

CASES = {  # how to make the distribution, and values
    "log normal": ("D.LogNormal(t([0.5, -1.0]), t([0.5, 1.5]))", [[0.5, 2.0], [1.0, 0.1]]),
    "gumbel": ("D.Gumbel(t([0.5, -1.0]), t([0.5, 1.5]))", [[0.5, 2.0], [-1.0, 0.1]]),
    "gumbel numbers": ("D.Gumbel(0.5, 2.0)", [0.5, -2.0]),
    "weibull": ("D.Weibull(t([0.5, 2.0]), t([1.5, 3.0]))", [[0.5, 2.0], [1.0, 0.1]]),
    "pareto": ("D.Pareto(t([0.5, 1.0]), t([1.5, 3.5]))", [[0.5, 2.0], [1.0, 4.0]]),
    "kumaraswamy": ("D.Kumaraswamy(t([0.5, 3.0]), t([1.5, 2.0]))", [[0.5, 0.9], [0.1, 0.2]]),
    "inverse gamma": ("D.InverseGamma(t([3.5, 3.0]), t([1.5, 2.0]))", [[0.5, 0.9], [0.1, 2.0]]),
    "half cauchy": ("D.HalfCauchy(t([0.5, 2.0]))", [[0.5, 0.9], [0.0, 2.0]]),
    "half normal": ("D.HalfNormal(t([0.5, 2.0]))", [[0.5, 0.9], [0.0, 2.0]]),
    "generalized pareto": (
        "D.GeneralizedPareto(t([0.5, -1.0, 1.0, 0.0, 2.0]), t([0.5, 2.0, 1.0, 3.0, 0.5]),"
        "                    t([0.3, -0.4, 0.0, -1.0, 0.7]))",
        [[1.0, 0.5, 2.0, 2.5, 2.0], [0.5, -1.0, 1.0, 0.0, 9.0]]),
    "logistic normal": (
        "D.LogisticNormal(t([[0.5, -1.0], [0.0, 1.0]]), t([[0.5, 1.5], [1.0, 1.0]]))",
        [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]),
    "relaxed bernoulli": (
        "D.RelaxedBernoulli(t(0.7), probs=t([0.2, 0.9]))", [[0.5, 0.9], [0.1, 0.2]]),
    "relaxed bernoulli of logits": (
        "D.RelaxedBernoulli(t(2.0), logits=t([0.2, -0.9]))", [[0.5, 0.9], [0.1, 0.2]]),
    "relaxed one-hot": (
        "D.RelaxedOneHotCategorical(t(0.7), probs=t([[0.2, 0.5, 0.3], [0.1, 0.1, 0.2]]))",
        [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]),
    "relaxed one-hot of logits": (
        "D.RelaxedOneHotCategorical(t(1.5), logits=t([0.2, 0.5, -0.3]))",
        [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]),
    "lkj": (
        "D.LKJCholesky(3, t([0.5, 2.0]))",
        [[[1.0, 0, 0], [0.6, 0.8, 0], [0.0, 0.28, 0.96]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]]),
    "lkj of 2": ("D.LKJCholesky(2)", [[1.0, 0], [0.6, 0.8]]),
    "transformed": (
        "D.TransformedDistribution(D.Normal(t([0.5, -1.0]), t([0.5, 1.5])),"
        "                          [D.AffineTransform(1.0, -2.0), D.SigmoidTransform()])",
        [[0.2, 0.3], [0.9, 0.5]]),
    "broadcasting transform": (
        "D.TransformedDistribution(D.Uniform(t(0.0), t(1.0)),"
        "                          D.AffineTransform(t([[1.0], [2.0]]), t([3.0, -1.0])))",
        [[1.5, 0.5], [2.5, 1.5]]),
    "no transform": (
        "D.TransformedDistribution(D.Exponential(t([0.5, 1.0])), [])", [0.5, 1.0]),
    "events by a transform": (
        "D.TransformedDistribution(D.Normal(t([[0.5, -1.0, 0.0]]), 1.5),"
        "                          [D.ExpTransform(), D.ReshapeTransform((3,), (3, 1))])",
        [[[0.5], [1.5], [2.0]]]),
    "events of the base": (
        "D.TransformedDistribution(D.Independent(D.Normal(t([[0.5, -1.0]]), 1.5), 1),"
        "                          [D.TanhTransform()])", [[0.5, -0.5]]),
    "flow": (
        "D.TransformedDistribution(D.Normal(t([0.5, -1.0]), 1.5), ["
        "    D.StickBreakingTransform(), D.AffineTransform(0.0, t([2.0, 1.0, 0.5]))])",
        [[0.4, 0.3, 0.25], [1.0, 0.25, 0.125]]),
    "matrices": (
        "D.TransformedDistribution(D.Normal(t([[0.5, -1.0, 0.0]]), 1.5),"
        "                          [D.CorrCholeskyTransform()])",
        [[[[1.0, 0, 0], [0.6, 0.8, 0], [0.0, 0.28, 0.96]]]]),
}
NO_RSAMPLE = ("lkj", "lkj of 2")
SINGLE = ("gumbel numbers", "lkj of 2", "generalized pareto")  # in torch, the last cannot be double
NO_CDF = (
    "logistic normal", "relaxed one-hot", "relaxed one-hot of logits", "flow", "matrices", "lkj",
    "lkj of 2", "relaxed bernoulli", "relaxed bernoulli of logits", "events by a transform",
    "events of the base")


def dtype_of(name, library):
    return library.float32 if name in SINGLE else library.float64


def parametrised(name, library, distributions, requires_grad=True):
    """The distribution, and the parameters that its tensors are."""
    parameters = []

    def t(values):
        made = library.tensor(
            values, dtype=dtype_of(name, library), requires_grad=requires_grad)
        parameters.append(made)
        return made

    return eval(CASES[name][0], {"D": distributions, "t": t}), parameters


def both(name):
    torch = pytest.importorskip("torch")
    mine, parameters = parametrised(name, fb, D)
    theirs, their_parameters = parametrised(name, torch, torch.distributions)
    value, their_value = (
        library.tensor(CASES[name][1], dtype=dtype_of(name, library), requires_grad=True)
        for library in (fb, torch))
    return mine, theirs, value, their_value, parameters, their_parameters


def same(mine, theirs, tolerance=1e-9, equal_nan=True):
    expected = fb.from_numpy(theirs.detach().numpy().copy())
    assert mine.dtype == expected.dtype
    if mine.dtype == fb.float32:
        tolerance = 1e-5
    assert tuple(mine.shape) == tuple(theirs.shape)
    close = fb.allclose(mine.detach(), expected, tolerance, tolerance, equal_nan=equal_nan)
    assert close, (mine, theirs)


def agree(mine, theirs, leaves, their_leaves, tolerance=1e-8):
    """Whether values agree, and the gradients of a weighted sum."""
    torch = pytest.importorskip("torch")
    same(mine, theirs)
    assert mine.requires_grad == theirs.requires_grad
    if not mine.requires_grad:
        return
    weights = [0.5 + i / 7 for i in range(mine.numel())]
    loss = (mine * fb.tensor(weights, dtype=mine.dtype).reshape(mine.shape)).sum()
    their_weights = torch.tensor(weights, dtype=theirs.dtype).reshape(theirs.shape)
    got = fb.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
    want = torch.autograd.grad(
        (theirs * their_weights).sum(), their_leaves, retain_graph=True, allow_unused=True)
    for g, w in zip(got, want, strict=True):
        if w is None or g is None:
            assert w is None or not w.any()
            assert g is None or not g.any()
        else:
            same(g, w, tolerance)


@pytest.mark.parametrize("name", CASES)
def test_log_prob(name):
    mine, theirs, value, their_value, leaves, their_leaves = both(name)
    agree(mine.log_prob(value), theirs.log_prob(their_value),
          [value, *leaves], [their_value, *their_leaves])


@pytest.mark.parametrize("name", [n for n in CASES if n not in NO_CDF])
def test_cdf_and_icdf(name):
    mine, theirs, value, their_value, leaves, their_leaves = both(name)
    if name == "generalized pareto":  # there torch's gradient of the concentration is NaN at 0
        leaves, their_leaves = leaves[:2], their_leaves[:2]
    if name == "inverse gamma":  # has no gradient of the concentration, and no quantiles
        same(mine.cdf(value), theirs.cdf(their_value))
        with pytest.raises(NotImplementedError):
            mine.icdf(value)
        return
    agree(mine.cdf(value), theirs.cdf(their_value),
          [value, *leaves], [their_value, *their_leaves])
    chance, their_chance = mine.cdf(value).detach() * 0.9, theirs.cdf(their_value).detach() * 0.9
    agree(mine.icdf(chance), theirs.icdf(their_chance), leaves, their_leaves)
    assert fb.allclose(mine.cdf(mine.icdf(chance)), chance, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_moments_and_entropy(name):
    mine, theirs, _, _, leaves, their_leaves = both(name)
    for fact in ("mean", "variance", "stddev", "mode"):
        if (name, fact) == ("kumaraswamy", "mode"):
            continue  # torch's is NaN throughout
        try:
            want = getattr(theirs, fact)
        except NotImplementedError:
            with pytest.raises(NotImplementedError):
                getattr(mine, fact)
        else:
            agree(getattr(mine, fact), want, leaves, their_leaves)
    try:
        want = theirs.entropy()
    except NotImplementedError:
        with pytest.raises(NotImplementedError):
            mine.entropy()
    else:
        agree(mine.entropy(), want, leaves, their_leaves)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sample_shape", [(), (2, 3)])
def test_samples_are_torch_s_for_the_same_seed(name, sample_shape):
    mine, theirs, _, _, leaves, their_leaves = both(name)
    torch = pytest.importorskip("torch")
    fb.manual_seed(7)
    torch.manual_seed(7)
    got, want = mine.sample(sample_shape), theirs.sample(sample_shape)
    assert not got.requires_grad
    same(got, want, 1e-12)
    assert mine.has_rsample == theirs.has_rsample
    if name in NO_RSAMPLE:
        with pytest.raises(NotImplementedError):
            mine.rsample()
        return
    fb.manual_seed(8)
    torch.manual_seed(8)
    tolerance = 1e-4 if name == "inverse gamma" else 1e-8  # torch's gradient is an approximation
    agree(mine.rsample(sample_shape), theirs.rsample(sample_shape),
          leaves, their_leaves, tolerance)
    assert fb.equal(fb.rand(2), fb.from_numpy(torch.rand(2).numpy()))  # as many draws


@pytest.mark.parametrize("name", [
    "gumbel numbers", "log normal", "weibull", "pareto", "half normal", "half cauchy"])
def test_samples_of_float32_to_the_last_place_or_two(name):
    torch = pytest.importorskip("torch")
    text = CASES[name][0]
    fb.manual_seed(1)
    torch.manual_seed(1)
    mine = eval(text, {"D": D, "t": fb.tensor}).sample((64,))
    theirs = eval(text, {"D": torch.distributions, "t": torch.tensor}).sample((64,))
    expected = fb.from_numpy(theirs.numpy())
    assert mine.dtype == fb.float32
    assert ((mine - expected).abs() <= 4e-7 * expected.abs().clamp(min=1)).all()


def like_torch_s(printed):
    """Our printed form with PyTorch's names in it, and without line breaks."""
    text = " ".join(repr(printed).split()).replace("SelectWhereBackward", "WhereBackward")
    return text.replace("flambeau.", "torch.")


@pytest.mark.parametrize("name", CASES)
def test_facts_and_expand(name):
    mine, theirs, value, their_value, _, _ = both(name)
    assert like_torch_s(mine.support) == " ".join(repr(theirs.support).split())
    assert mine.batch_shape == tuple(theirs.batch_shape)
    assert mine.event_shape == tuple(theirs.event_shape)
    shape = (4, *theirs.batch_shape)
    if value.ndim > len(mine.batch_shape + mine.event_shape):
        value, their_value = value.unsqueeze(1), their_value.unsqueeze(1)
    wide, their_wide = mine.expand(shape), theirs.expand(shape)
    assert type(wide) is type(mine)
    assert wide.batch_shape == shape
    assert wide.event_shape == mine.event_shape
    same(wide.log_prob(value), their_wide.log_prob(their_value))
    assert tuple(wide.sample((3,)).shape) == tuple(their_wide.sample((3,)).shape)
    for parameter in type(mine).arg_constraints:
        same(getattr(wide, parameter), getattr(their_wide, parameter))
        assert getattr(mine, parameter).requires_grad or name in ("gumbel numbers", "lkj of 2")
    for extra in ("temperature", "concentration_reciprocal", "dim"):
        assert hasattr(wide, extra) == hasattr(theirs, extra)
    wider = wide.expand((2, *shape))
    same(wider.log_prob(value), their_wide.expand((2, *shape)).log_prob(their_value))
    assert wide._validate_args is mine._validate_args is True


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("gumbel numbers", "lkj of 2")])
def test_printed_form(name):
    torch = pytest.importorskip("torch")
    mine = parametrised(name, fb, D)[0]
    theirs = parametrised(name, torch, torch.distributions)[0]
    assert like_torch_s(mine) == repr(theirs)


@pytest.mark.parametrize("text", [
    "D.LogNormal(0.0, -1.0)", "D.Gumbel(0.0, -1.0)", "D.Weibull(-1.0, 1.0)",
    "D.Weibull(1.0, 0.0)", "D.Pareto(0.0, 1.0)", "D.Pareto(1.0, -1.0)",
    "D.Kumaraswamy(-1.0, 1.0)", "D.Kumaraswamy(1.0, 0.0)", "D.InverseGamma(0.0, 1.0)",
    "D.InverseGamma(1.0, -1.0)", "D.HalfCauchy(-1.0)", "D.HalfNormal(0.0)",
    "D.GeneralizedPareto(0.0, -1.0, 1.0)", "D.GeneralizedPareto(float('nan'), 1.0, 1.0)",
    "D.LogisticNormal(t([0.0]), t([-1.0]))", "D.RelaxedBernoulli(t(1.0), probs=t(1.5))",
    "D.RelaxedBernoulli(t(1.0))", "D.RelaxedBernoulli(t(1.0), probs=t(0.5), logits=t(0.5))",
    "D.RelaxedOneHotCategorical(t(1.0))", "D.RelaxedOneHotCategorical(t(1.0), t(0.5))",
    "D.RelaxedOneHotCategorical(t(1.0), logits=t([float('nan'), 0.5]))",
    "D.LKJCholesky(1)", "D.LKJCholesky(3, -1.0)",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), 3)",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), [3])",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), (D.ExpTransform(),))",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), D.StickBreakingTransform())",
    "D.LogNormal(0.0, 1.0).log_prob(t(-1.0))", "D.LogNormal(0.0, 1.0).cdf(t(-1.0))",
    "D.Weibull(1.0, 1.0).log_prob(t(-1.0))", "D.Pareto(1.0, 1.0).log_prob(t(0.5))",
    "D.Kumaraswamy(1.0, 1.0).log_prob(t(1.5))", "D.InverseGamma(1.0, 1.0).log_prob(t(-0.5))",
    "D.HalfCauchy(1.0).log_prob(t(-0.5))", "D.HalfCauchy(1.0).cdf(t(-0.5))",
    "D.HalfNormal(1.0).log_prob(t(-0.5))", "D.HalfNormal(1.0).cdf(t(-0.5))",
    "D.Gumbel(0.0, 1.0).log_prob(t(float('nan')))",
    "D.GeneralizedPareto(0.0, 1.0, 1.0).log_prob(t(-0.5))",
    "D.GeneralizedPareto(0.0, 1.0, -1.0).log_prob(t(1.5))",
    "D.GeneralizedPareto(0.0, 1.0, 1.0).cdf(t(-0.5))",
    "D.GeneralizedPareto(0.0, 1.0, 1.0).log_survival_function(t(-0.5))",
    "D.LogisticNormal(t([0.0]), t([1.0])).log_prob(t([0.5, 0.6]))",
    "D.LogisticNormal(t([0.0]), t([1.0])).log_prob(t([0.5, 0.3, 0.2]))",
    "D.RelaxedBernoulli(t(1.0), t(0.5)).log_prob(t(1.5))",
    "D.RelaxedBernoulli(t(1.0), t(0.5)).base_dist.log_prob(t(float('nan')))",
    "D.RelaxedOneHotCategorical(t(1.0), t([0.5, 0.5])).log_prob(t([0.5, 0.6]))",
    "D.RelaxedOneHotCategorical(t(1.0), t([0.5, 0.5])).base_dist.log_prob(t(0.5))",
    "D.LKJCholesky(2).log_prob(t([[1.0, 0.0], [0.5, 0.5]]))",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), D.ExpTransform()).log_prob(t(-1.0))",
])
def test_what_is_refused(text):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"\w") as theirs:
        eval(text, {"D": torch.distributions, "t": torch.tensor})
    words = "broadcast" if "broadcast" in str(theirs.value) else re.escape(str(theirs.value)[:26])
    with pytest.raises(ValueError, match=words):
        eval(text, {"D": D, "t": fb.tensor})


@pytest.mark.parametrize("name", [n for n in CASES if n not in (
    "no transform", "transformed", "broadcasting transform", "events by a transform",
    "events of the base", "flow", "matrices")])
def test_a_subclass_must_have_its_own_expand(name):
    mine = parametrised(name, fb, D)[0]

    class Sub(type(mine)):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    mine.__class__ = Sub
    with pytest.raises(NotImplementedError, match=r"must also define a custom \.expand"):
        mine.expand((2, *mine.batch_shape))


def test_kumaraswamy_s_mode_is_where_the_density_is_greatest():
    kumaraswamy = D.Kumaraswamy(fb.tensor([2.0, 1.5, 3.0]), fb.tensor([3.0, 1.5, 1.0]))
    grid = fb.linspace(0.0005, 0.9995, 2000)[:, None]
    best = grid.squeeze(1)[kumaraswamy.log_prob(grid).argmax(0)]
    assert fb.allclose(kumaraswamy.mode, best, atol=1e-3)
    assert D.Kumaraswamy(1.0, 2.0).mode.item() == 0
    nowhere = D.Kumaraswamy(fb.tensor([0.5, 2.0, 1.0]), fb.tensor([2.0, 0.5, 1.0]))
    assert nowhere.mode.isnan().all()


def test_what_classes_tell():
    for kind in (D.GeneralizedPareto, D.Pareto):
        assert (kind.support.is_discrete, kind.support.event_dim) == (False, 0)
    for kind in (D.relaxed_bernoulli.LogitRelaxedBernoulli,
                 D.relaxed_categorical.ExpRelaxedCategorical):
        assert kind.has_rsample


def test_moments_that_are_infinite_or_missing():
    for text in ("D.Pareto(2.0, t([0.5, 1.0, 1.5, 2.0, 3.0]))",
                 "D.InverseGamma(t([0.5, 1.0, 1.5, 2.0, 3.0]), 2.0)",
                 "D.GeneralizedPareto(1.0, 2.0, t([-0.5, 0.2, 0.5, 0.7, 1.0]))",
                 "D.Weibull(1.0, t([0.5, 1.0, 2.0]))"):
        torch = pytest.importorskip("torch")
        mine = eval(text, {"D": D, "t": fb.tensor})
        theirs = eval(text, {"D": torch.distributions, "t": torch.tensor})
        for fact in ("mean", "variance", "mode"):
            same(getattr(mine, fact), getattr(theirs, fact))


def test_a_half_distribution_has_no_density_below_0():
    for kind in (D.HalfNormal, D.HalfCauchy):
        half = kind(1.0, validate_args=False)
        assert half.log_prob(fb.tensor([-1.0])).tolist() == [-math.inf]
        assert half.log_prob(0.5).item() == half.log_prob(fb.tensor(0.5)).item()
        assert kind(fb.tensor(1.0)).icdf(fb.tensor(0.0)).item() == pytest.approx(0, abs=1e-6)


def test_generalized_pareto_s_logarithms():
    torch = pytest.importorskip("torch")
    mine, theirs, value, their_value, _, _ = both("generalized pareto")
    same(mine.log_cdf(value), theirs.log_cdf(their_value))
    same(mine.log_survival_function(value), theirs.log_survival_function(their_value))
    below, above = fb.tensor(0.0), fb.tensor(30.0)
    bounded = D.GeneralizedPareto(1.0, 2.0, -1.0, validate_args=False)
    theirs = torch.distributions.GeneralizedPareto(1.0, 2.0, -1.0, validate_args=False)
    for v in (below, above, fb.tensor(3.0)):
        same(bounded.log_prob(v), theirs.log_prob(torch.tensor(v.item())))
    shape = fb.tensor(0.0, requires_grad=True)
    D.GeneralizedPareto(0.0, 1.0, shape).cdf(fb.tensor(1.0)).backward()
    assert shape.grad.isfinite()


def test_a_cache_makes_the_density_of_samples_exact():
    t = D.TanhTransform(cache_size=1)
    squashed = D.TransformedDistribution(D.Normal(0.0, 20.0), [t])
    fb.manual_seed(0)
    y = squashed.rsample((50,))
    assert (y.abs() == 1).any()
    assert squashed.log_prob(y).isfinite().all()


def test_the_base_checks_too():
    half = D.TransformedDistribution(
        D.Exponential(1.0), D.AffineTransform(0.0, 2.0), validate_args=False)
    with pytest.raises(ValueError, match="within the support"):
        half.log_prob(fb.tensor(-1.0))
    free = D.TransformedDistribution(
        D.Exponential(1.0, validate_args=False), D.AffineTransform(0.0, 2.0), validate_args=False)
    assert free.log_prob(fb.tensor(-1.0)).item() == pytest.approx(0.5 - math.log(2))


def test_samples_of_factors_have_rows_of_length_1():
    lkj = D.LKJCholesky(4, fb.tensor([0.5, 3.0]))
    fb.manual_seed(0)
    factors = lkj.sample((200,))
    assert lkj.support.check(factors).all()
    correlations = (factors @ factors.mT)[..., 1:, 0]
    assert correlations[:, 0].std() > 1.3 * correlations[:, 1].std()


def test_distributions_can_be_pickled_and_built_on_the_meta_device():
    for name in CASES:
        mine = parametrised(name, fb, D, requires_grad=False)[0]
        other = pickle.loads(pickle.dumps(mine))
        value = fb.tensor(CASES[name][1], dtype=dtype_of(name, fb))
        assert fb.equal(other.log_prob(value), mine.log_prob(value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        far = D.LogNormal(fb.zeros(3, device="meta"), fb.ones(3, device="meta"))
        assert far.log_prob(fb.ones(2, 3, device="meta")).shape == (2, 3)
        assert far.sample((4,)).shape == (4, 3)
