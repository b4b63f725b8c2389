"""Kullback-Leibler divergences, against PyTorch's."""

import math

import pytest

import flambeau as fb
from flambeau import distributions as D
from flambeau.distributions.kl import registry

EXAMPLES = {  # of each family, one for p and another for q
    "Bernoulli": ("D.Bernoulli(t([0.2, 0.5, 0.9, 0.4]))",
                  "D.Bernoulli(logits=t([0.2, -1.5, 0.9, 0.0]))"),
    "Beta": ("D.Beta(t([0.5, 1.0, 2.0, 3.0]), t([1.5, 1.0, 0.5, 2.0]))",
             "D.Beta(t([1.5, 2.0, 0.7, 1.0]), t([0.5, 1.2, 3.0, 2.0]))"),
    "Binomial": ("D.Binomial(t([3.0, 4.0, 5.0, 2.0]), t([0.2, 0.5, 0.9, 0.4]))",
                 "D.Binomial(t([3.0, 3.0, 5.0, 2.0]), logits=t([0.2, -1.5, 0.9, 0.0]))"),
    "Categorical": ("D.Categorical(t([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]))",
                    "D.Categorical(logits=t([[0.2, -1.5, 0.3], [0.5, 0.1, 0.0]]))"),
    "Cauchy": ("D.Cauchy(t([0.5, -1.0]), t([1.5, 2.0]))", "D.Cauchy(t([0.0, 1.0]), t([1.0, 0.5]))"),
    "ContinuousBernoulli": ("D.ContinuousBernoulli(t([0.2, 0.4, 0.9, 0.6]))",
                            "D.ContinuousBernoulli(logits=t([0.2, -1.5, 0.9, 0.5]))"),
    "Dirichlet": ("D.Dirichlet(t([[0.2, 0.5, 3.0], [1.0, 1.0, 2.0]]))",
                  "D.Dirichlet(t([[1.2, 1.5, 0.3], [0.5, 0.1, 1.0]]))"),
    "Exponential": ("D.Exponential(t([0.5, 1.0, 2.0, 3.0]))",
                    "D.Exponential(t([1.5, 1.0, 0.3, 3.5]))"),
    "Gamma": ("D.Gamma(t([0.5, 1.0, 2.0, 3.0]), t([1.5, 1.0, 0.3, 3.5]))",
              "D.Gamma(t([1.5, 2.0, 0.5, 2.0]), t([0.5, 1.2, 3.0, 2.0]))"),
    "Geometric": ("D.Geometric(t([0.2, 0.5, 0.9]))", "D.Geometric(logits=t([0.2, -1.5, 0.9]))"),
    "Gumbel": ("D.Gumbel(t([0.5, -1.0, 0.0, 1.0]), t([1.5, 1.0, 0.3, 2.5]))",
               "D.Gumbel(t([0.0, 1.0, -0.5, 2.0]), t([0.5, 1.2, 3.0, 2.0]))"),
    "HalfNormal": ("D.HalfNormal(t([0.5, 1.5]))", "D.HalfNormal(t([1.5, 1.0]))"),
    "Independent": ("D.Independent(D.Normal(t([[0.5, 1.5]]), t([1.0, 2.0])), 1)",
                    "D.Independent(D.Normal(t([[0.0, 1.0]]), t([1.5, 0.5])), 1)"),
    "Laplace": ("D.Laplace(t([0.5, -1.0, 0.0, 1.0]), t([1.5, 1.0, 0.3, 2.5]))",
                "D.Laplace(t([0.0, 1.0, -0.5, 2.0]), t([0.5, 1.2, 3.0, 2.0]))"),
    "LowRankMultivariateNormal": (
        "D.LowRankMultivariateNormal(t([[0.5, -1.0, 0.0], [1.0, 0.5, 0.0]]),"
        "    t([[0.5, 0.1], [-0.3, 0.7], [0.2, 0.0]]), t([1.5, 1.0, 0.3]))",
        "D.LowRankMultivariateNormal(t([0.0, 1.0, 0.5]),"
        "    t([[[0.1], [0.3], [-0.7]], [[1.0], [0.5], [0.3]]]), t([0.5, 0.7, 1.2]))"),
    "MultivariateNormal": (
        "D.MultivariateNormal(t([[0.5, -1.0, 0.0], [1.0, 0.5, 0.0]]),"
        "    t([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 1.5]]))",
        "D.MultivariateNormal(t([0.0, 1.0, 0.5]), scale_tril=t("
        "    [[[1.0, 0, 0], [0.5, 2.0, 0], [0.1, 0.3, 0.5]],"
        "     [[2.0, 0, 0], [0, 1, 0], [1, 1, 1]]]))"),
    "Normal": ("D.Normal(t([0.5, -1.0, 0.0, 1.0]), t([1.5, 1.0, 0.3, 2.5]))",
               "D.Normal(t([0.0, 1.0, -0.5, 2.0]), t([0.5, 1.2, 3.0, 2.0]))"),
    "OneHotCategorical": ("D.OneHotCategorical(t([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]))",
                          "D.OneHotCategorical(logits=t([[0.2, -1.5, 0.3], [0.5, 0.1, 0.0]]))"),
    "Pareto": ("D.Pareto(t([0.5, 1.0, 2.0, 3.0]), t([2.5, 0.5, 1.5, 3.5]))",
               "D.Pareto(t([0.25, 1.5, 1.0, 2.0]), t([0.5, 1.2, 3.0, 2.0]))"),
    "Poisson": ("D.Poisson(t([0.5, 1.0, 2.0, 3.0]))", "D.Poisson(t([1.5, 1.0, 0.3, 3.5]))"),
    "TransformedDistribution": (
        "D.LogNormal(t([0.5, -1.0]), t([1.5, 1.0]))", "D.LogNormal(t([0.0, 1.0]), t([0.5, 1.2]))"),
    "Uniform": ("D.Uniform(t([0.25, -1.0, 0.5, 0.1]), t([0.75, 0.5, 1.5, 0.9]))",
                "D.Uniform(t([-0.5, -2.0, 0.25, -0.5]), t([1.5, 1.25, 2.0, 0.75]))"),
    "ExponentialFamily": (
        "D.Wishart(t([3.5, 4.0]), t([[2.0, 0.3], [0.3, 1.0]]))",
        "D.Wishart(t(5.0), t([[1.0, -0.2], [-0.2, 1.5]]))"),
}


def torch_pairs():
    try:
        from torch.distributions.kl import _KL_REGISTRY
    except ImportError:
        return []
    return [(p.__name__, q.__name__) for p, q in _KL_REGISTRY]


def made(text, library, distributions):
    leaves = []

    def t(values):
        leaves.append(library.tensor(values, dtype=library.float64, requires_grad=True))
        return leaves[-1]

    return eval(text, {"D": distributions, "t": t}), leaves


def both(p_text, q_text):
    torch = pytest.importorskip("torch")
    (p, p_leaves), (q, q_leaves) = made(p_text, fb, D), made(q_text, fb, D)
    theirs = [made(text, torch, torch.distributions) for text in (p_text, q_text)]
    mine = D.kl_divergence(p, q)
    want = torch.distributions.kl_divergence(theirs[0][0], theirs[1][0])
    return mine, want, p_leaves + q_leaves, theirs[0][1] + theirs[1][1]


def agree(mine, want, leaves, their_leaves):
    """Whether values agree, and gradients wherever torch's are numbers."""
    torch = pytest.importorskip("torch")
    expected = fb.from_numpy(want.detach().numpy().copy())
    assert fb.allclose(mine.detach(), expected, 1e-9, 1e-9), (mine, want)
    assert (mine.dtype, tuple(mine.shape)) == (expected.dtype, tuple(want.shape))
    if not want.requires_grad:
        return
    finite = want.isfinite()
    got = fb.autograd.grad(
        mine[fb.from_numpy(finite.numpy())].sum(), leaves, allow_unused=True)
    grads = torch.autograd.grad(want[finite].sum(), their_leaves, allow_unused=True)
    for g, w in zip(got, grads, strict=True):
        if w is None or g is None:
            assert w is None or not w.any()
            assert g is None or not g.any()
            continue
        is_number = fb.from_numpy(w.isfinite().numpy())
        assert is_number.any() or not w.numel()
        assert fb.allclose(
            g[is_number], fb.from_numpy(w.numpy())[is_number], 1e-8, 1e-8), (g, w)


@pytest.mark.parametrize(("p", "q"), torch_pairs())
def test_each_pair_that_torch_registers(p, q):
    mine, want, leaves, their_leaves = both(EXAMPLES[p][0], EXAMPLES[q][1])
    if p == q == "ExponentialFamily":  # torch leaves out the gradient of p
        leaves, their_leaves = leaves[2:], their_leaves[2:]
    agree(mine, want, leaves, their_leaves)
    assert want.isfinite().any() or (want == math.inf).all()


def test_the_pairs_are_torch_s():
    pairs = torch_pairs()
    if pairs:
        assert {(p.__name__, q.__name__) for p, q in registry.KL} >= set(pairs)
        assert len(pairs) == 87


@pytest.mark.parametrize("name", [n for n in EXAMPLES if n not in ("Binomial",)])
@pytest.mark.parametrize("which", [0, 1])
def test_the_divergence_from_itself_is_0(name, which):
    p = made(EXAMPLES[name][which], fb, D)[0]
    assert fb.allclose(D.kl_divergence(p, p), fb.zeros((), dtype=fb.float64), atol=1e-9)


@pytest.mark.parametrize("name", [
    "Exponential", "Gumbel", "Normal", "Uniform", "Beta", "Gamma", "ContinuousBernoulli"])
def test_the_mean_of_the_difference_of_logarithms(name):
    """By quadrature over the quantiles of uniform numbers."""
    chance = (fb.arange(40000, dtype=fb.float64) + 0.5) / 40000
    p = made("D.Uniform(t([0.3] * 4), t([0.7] * 4))", fb, D)[0]
    q = made(EXAMPLES[name][1], fb, D)[0]
    q._validate_args = False
    x = p.icdf(chance[:, None])
    want = (p.log_prob(x) - q.log_prob(x)).mean(0)
    covered = want.isfinite()
    found = D.kl_divergence(p, q)
    assert covered.any()
    assert (found > 0).all()
    assert fb.allclose(found[covered], want[covered], atol=1e-5)
    assert (found[~covered] == math.inf).all()


def test_a_uniform_that_just_covers_the_unit_interval():
    """Where PyTorch answers infinity for the continuous Bernoulli distribution."""
    chance = (fb.arange(4000, dtype=fb.float64) + 0.5) / 4000
    unit = D.Uniform(fb.zeros((), dtype=fb.float64), fb.ones((), dtype=fb.float64))
    continuous = D.ContinuousBernoulli(fb.tensor(0.3, dtype=fb.float64))
    mean = -continuous.log_prob(chance).mean()
    assert fb.allclose(D.kl_divergence(unit, continuous), mean, atol=1e-6)
    assert fb.allclose(D.kl_divergence(continuous, unit), -continuous.entropy())
    assert D.kl_divergence(D.Beta(1.0, 1.0), D.Uniform(0.0, 1.0)).item() == pytest.approx(0)


@pytest.mark.parametrize(("p", "q"), [
    ("D.Pareto(1.0, t([1.0, 2.0]))", "D.Exponential(1.5)"),
    ("D.Pareto(1.0, t([1.0, 2.0]))", "D.Gamma(1.5, 0.5)"),
    ("D.Pareto(1.0, t([1.0, 2.0, 3.0]))", "D.Normal(1.5, 0.5)"),
    ("D.Pareto(t([1.0, 2.0]), 3.0)", "D.Pareto(t([1.0, 2.5]), 2.0)"),
    ("D.Uniform(t([0.0, 0.5]), t([1.0, 1.0]))", "D.Beta(1.5, 2.0)"),
    ("D.Uniform(t([0.0, 0.5]), 1.5)", "D.Exponential(1.5)"),
    ("D.Uniform(t([0.0, 0.5]), 1.5)", "D.Gamma(1.5, 2.0)"),
    ("D.Uniform(t([1.0, 0.5]), 1.5)", "D.Pareto(t(1.0), 2.0)"),
    ("D.Beta(1.5, t([2.0, 1.0]))", "D.Uniform(t(0.0), 1.0)"),
    ("D.Binomial(t([3.0, 2.0]), t(0.5))", "D.Binomial(t([3.0, 1.0]), t(0.25))"),
])
def test_where_the_supports_just_agree(p, q):
    mine, want, _, _ = both(p, q)
    assert fb.allclose(mine.detach(), fb.from_numpy(want.detach().numpy().copy()))
    assert mine.isfinite().any()


def test_chances_of_0():
    torch = pytest.importorskip("torch")
    for text in ("D.Bernoulli(t([0.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.5]))",
                 "D.Categorical(t([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]))"):
        other = text.replace("[0.0, 0.0, 1.0, 1.0, 0.0, 0.5", "[0.0, 1.0, 0.0, 1.0, 0.3, 0.0")
        other = other.replace("t([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])", "t([0.0, 0.4, 0.6])")
        if "Bern" in text:
            other = other.replace("0.5]", "1.0]")
        mine, want, _, _ = both(text, other)
        assert fb.allclose(
            mine.detach(), fb.from_numpy(want.detach().numpy().copy()), 1e-6, 1e-6), text
        assert (want == math.inf).any()
        assert want.isfinite().any()
        assert torch.equal(want.isinf(), torch.tensor(mine.isinf().tolist()))


def test_batches_broadcast():
    torch = pytest.importorskip("torch")
    pairs = [("Normal", "Normal"), ("Uniform", "Gamma"), ("Beta", "Beta"), ("Pareto", "Pareto"),
             ("MultivariateNormal", "LowRankMultivariateNormal"),
             ("LowRankMultivariateNormal", "MultivariateNormal"),
             ("LowRankMultivariateNormal", "LowRankMultivariateNormal"),
             ("MultivariateNormal", "MultivariateNormal"), ("Categorical", "Categorical")]
    for p_name, q_name in pairs:
        p, their_p = made(EXAMPLES[p_name][0], fb, D)[0], made(
            EXAMPLES[p_name][0], torch, torch.distributions)[0]
        q, their_q = made(EXAMPLES[q_name][1], fb, D)[0], made(
            EXAMPLES[q_name][1], torch, torch.distributions)[0]
        shape = (5, 1, *p.batch_shape)
        found = D.kl_divergence(p.expand(shape), q)
        want = torch.distributions.kl_divergence(their_p.expand(shape), their_q)
        assert tuple(found.shape) == tuple(want.shape) == (5, 1, *p.batch_shape), (p_name, q_name)
        assert fb.allclose(found, fb.from_numpy(want.detach().numpy().copy())), (p_name, q_name)
    assert D.kl_divergence(D.Normal(0.0, 1.0), D.Pareto(fb.ones(3), 1.0)).tolist() == [math.inf] * 3


def test_the_gradient_of_an_exponential_family_reaches_p():
    def divergence(df):
        p = D.Wishart(df, fb.eye(2, dtype=fb.float64))
        return D.kl_divergence(p, D.Wishart(fb.tensor(5.0).double(), 2 * fb.eye(2).double()))

    df = fb.tensor(3.5, dtype=fb.float64, requires_grad=True)
    (slope,) = fb.autograd.grad(divergence(df), df)
    with fb.no_grad():
        want = (divergence(df + 1e-4) - divergence(df - 1e-4)) / 2e-4
        assert not divergence(df).requires_grad
    assert fb.allclose(slope, want, 1e-5)
    assert not divergence(fb.tensor(3.5).double()).requires_grad


@pytest.mark.parametrize(("p", "q", "error", "words"), [
    ("D.Independent(D.Normal(t([[0.0]]), 1.0), 1)", "D.Independent(D.Normal(t([[0.0]]), 1.0), 2)",
     NotImplementedError, "different numbers of dimensions, 1 and 2"),
    ("D.LogNormal(0.0, 1.0)", "D.Weibull(1.0, 1.0)", NotImplementedError, "different transforms"),
    ("D.LogisticNormal(t([0.0]), t([1.0]))", "D.LogisticNormal(t([0.0, 0.0]), t([1.0, 1.0]))",
     NotImplementedError, "different event shapes"),
    ("D.Normal(0.0, 1.0)", "D.Poisson(1.0)", NotImplementedError, "different exponential famil"),
    ("D.Normal(0.0, 1.0)", "D.StudentT(1.0)", NotImplementedError,
     "for p type Normal and q type StudentT"),
    ("D.Binomial(2, t(0.5))", "D.Binomial(3, t(0.5))", NotImplementedError, "q.total_count >"),
    ("D.MultivariateNormal(t([0.0]), t([[1.0]]))",
     "D.MultivariateNormal(t([0.0, 0.0]), t([[1.0, 0.0], [0.0, 1.0]]))", ValueError,
     "different event shapes"),
    ("D.LowRankMultivariateNormal(t([0.0]), t([[1.0]]), t([1.0]))",
     "D.MultivariateNormal(t([0.0, 0.0]), t([[1.0, 0.0], [0.0, 1.0]]))", ValueError,
     "between LowRankMultivariateNormal and MultivariateNormal"),
])
def test_what_is_refused(p, q, error, words):
    torch = pytest.importorskip("torch")
    with pytest.raises(error):
        torch.distributions.kl_divergence(
            made(p, torch, torch.distributions)[0], made(q, torch, torch.distributions)[0])
    with pytest.raises(error, match=words):
        D.kl_divergence(made(p, fb, D)[0], made(q, fb, D)[0])


@pytest.fixture
def families(monkeypatch):
    """Classes of which each is a subclass of the one before, and a registry of one's own."""
    monkeypatch.setattr(registry, "KL", {})
    registry._find.cache_clear()

    class A(D.Distribution):
        arg_constraints = {}  # noqa: RUF012

    class B(A):
        pass

    class C(B):
        pass

    yield A, B, C
    registry._find.cache_clear()


class TestDispatch:
    def register(self, *pairs):
        for p, q in pairs:
            D.register_kl(p, q)(lambda one, other, p=p, q=q: p.__name__ + q.__name__)

    def test_the_nearest_pair_is_taken(self, families):
        A, B, C = families
        self.register((A, A), (B, B))
        assert D.kl_divergence(A(), C()) == "AA"
        assert D.kl_divergence(C(), A()) == "AA"
        assert D.kl_divergence(C(), B()) == "BB"
        assert D.kl_divergence(C(), C()) == "BB"
        self.register((C, C))  # known at once
        assert D.kl_divergence(C(), C()) == "CC"
        assert D.kl_divergence(B(), C()) == "BB"

    def test_two_nearest_pairs(self, families):
        A, B, C = families
        self.register((A, B), (B, A))
        with pytest.warns(RuntimeWarning, match=r"(?s)Ambiguous kl_divergence\(C, C\).*\(B, B\)"):
            assert D.kl_divergence(C(), C()) == "BA"
        self.register((B, B))
        assert D.kl_divergence(C(), C()) == "BB"

    def test_the_decorator_gives_the_function_back(self, families):
        def function(p, q):
            return 3

        assert D.register_kl(families[0], families[0])(function) is function
        assert D.kl_divergence(families[0](), families[2]()) == 3

    def test_only_classes_can_be_registered(self):
        with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass"):
            D.register_kl(3, D.Normal)
        with pytest.raises(TypeError, match="Expected type_q to be a Distribution subclass"):
            D.register_kl(D.Normal, D.Normal(0.0, 1.0))
