"""Transforms: values, inverses, volume changes and gradients, against PyTorch's."""

import copy
import gc
import pickle

import pytest

import flambeau as fb
from flambeau import distributions as D
from flambeau.distributions import constraints
from flambeau.distributions import transforms as T

LINE = [-3.0, -1.0, -0.25, 0.5, 1.0, 2.0]
POSITIVE = [0.25, 0.5, 1.0, 1.5, 2.0, 4.0]
ROWS = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]
POSITIVE_ROWS = [[0.5, 1.0, 2.0], [1.5, 0.25, 0.75]]
SQUARE = [[0.5, -1.0, 0.3], [1.5, 0.25, 2.0], [-0.75, 0.1, -0.4]]

CASES = {  # how to make the transform, and an input
    "abs": ("T.AbsTransform()", LINE),
    "exp": ("T.ExpTransform()", LINE),
    "sigmoid": ("T.SigmoidTransform()", LINE),
    "softplus": ("T.SoftplusTransform()", [*LINE, 25.0]),
    "tanh": ("T.TanhTransform()", LINE),
    "power": ("T.PowerTransform(2.0)", POSITIVE),
    "falling power": ("T.PowerTransform(t([[-1.5], [0.5]]))", POSITIVE),
    "affine numbers": ("T.AffineTransform(1, -2)", LINE),
    "affine event": ("T.AffineTransform(1.0, 3.0, event_dim=1)", ROWS),
    "affine tensors": ("T.AffineTransform(t([1.0, 2.0, 3.0]), t([-1.0, 2.0, 0.5]))", ROWS),
    "affine vector": ("T.AffineTransform(0.5, t([-1.0, 2.0, 0.5]), event_dim=1)", ROWS),
    "affine matrix": ("T.AffineTransform(0.5, 2.0, 2)", ROWS),
    "cumulative": ("T.CumulativeDistributionTransform(D.Normal(0.5, 2.0))", LINE),
    "reshape": ("T.ReshapeTransform((3, 2), (6,))", [[[1.0, 2], [3, 4], [5, 6]]]),
    "reshape to number": ("T.ReshapeTransform((1,), ())", [[1.0], [2.0]]),
    "softmax": ("T.SoftmaxTransform()", ROWS),
    "stick": ("T.StickBreakingTransform()", ROWS),
    "corr": ("T.CorrCholeskyTransform()", ROWS),
    "corr of 2": ("T.CorrCholeskyTransform()", [[0.5], [-0.25]]),
    "lower": ("T.LowerCholeskyTransform()", [SQUARE]),
    "definite": ("T.PositiveDefiniteTransform()", [SQUARE]),
    "independent": ("T.IndependentTransform(T.ExpTransform(), 1)", ROWS),
    "independent affine": ("T.IndependentTransform(T.AffineTransform(1, 2.), 2)", ROWS),
    "compose": ("T.ComposeTransform([T.AffineTransform(1, 2), T.TanhTransform()])", LINE),
    "compose nothing": ("T.identity_transform", LINE),
    "compose events": (
        "T.ComposeTransform([T.AffineTransform(0, 2), T.StickBreakingTransform(),"
        "                    T.AffineTransform(1, t([1.0, 2.0, 3.0, -4.0]))])", ROWS),
    "compose to matrix": (
        "T.ComposeTransform([T.CorrCholeskyTransform(), T.AffineTransform(0., 2.)])", ROWS),
    "compose reshape": (
        "T.ComposeTransform([T.ExpTransform(), T.ReshapeTransform((3,), (1, 3)),"
        "                    T.AffineTransform(0., 3., event_dim=1)])", ROWS),
    "cat": ("T.CatTransform([T.ExpTransform(), T.AffineTransform(1, 3)], -1, [2, 1])", ROWS),
    "cat of batch": (
        "T.CatTransform([T.IndependentTransform(T.ExpTransform(), 1),"
        "                T.AffineTransform(1, 2, event_dim=1)], 0)", ROWS),
    "cat of events": (
        "T.CatTransform([T.AffineTransform(1, 2, event_dim=1),"
        "                T.IndependentTransform(T.ExpTransform(), 1)], 1, [1, 2])", ROWS),
    "cat of uneven events": (
        "T.CatTransform([T.AffineTransform(1, 2, event_dim=1), T.ExpTransform()], 0)", ROWS),
    "stack": ("T.StackTransform([T.ExpTransform(), T.AffineTransform(1, 3)], 0)", ROWS),
    "stack of columns": (
        "T.StackTransform([T.ExpTransform(), T.AffineTransform(1, 3), T.TanhTransform()], 1)",
        ROWS),
}


def make(text, library, distributions):
    def t(values):
        return library.tensor(values, dtype=library.float64)

    scope = {"T": distributions.transforms, "D": distributions, "t": t}
    return eval(text, scope)  # the texts above


def both(name):
    torch = pytest.importorskip("torch")
    text, values = CASES[name]
    mine, theirs = make(text, fb, D), make(text, torch, torch.distributions)
    x = fb.tensor(values, dtype=fb.float64, requires_grad=True)
    tx = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    return mine, theirs, x, tx


def same(mine, theirs, tolerance=1e-10):
    assert tuple(mine.shape) == tuple(theirs.shape)
    found, expected = mine.detach(), fb.from_numpy(theirs.detach().numpy().copy())
    assert found.dtype == expected.dtype
    assert fb.allclose(found, expected, rtol=tolerance, atol=tolerance), (found, expected)


def gradients_agree(mine, theirs, x, tx):
    """Whether the gradients of a weighted sum agree."""
    torch = pytest.importorskip("torch")
    assert mine.requires_grad == theirs.requires_grad
    if not mine.requires_grad:
        return
    weights = fb.linspace(0.5, 2.0, mine.numel(), dtype=fb.float64).reshape(mine.shape)
    their_weights = torch.linspace(0.5, 2.0, theirs.numel(), dtype=torch.float64)
    (got,) = fb.autograd.grad((mine * weights).sum(), x, allow_unused=True)
    (want,) = torch.autograd.grad(
        (theirs * their_weights.reshape(theirs.shape)).sum(), tx, allow_unused=True)
    if want is None:  # a volume change that does not depend on the input
        assert got is None
    else:
        same(got, want, 1e-8)


@pytest.mark.parametrize("name", CASES)
def test_values_inverse_and_gradients(name):
    mine, theirs, x, tx = both(name)
    y, ty = mine(x), theirs(tx)
    same(y, ty)
    gradients_agree(y, ty, x, tx)
    z = y.detach().requires_grad_()
    tz = ty.detach().requires_grad_()
    same(mine.inv(z), theirs.inv(tz))
    gradients_agree(mine.inv(z), theirs.inv(tz), z, tz)
    if name not in ("cat of events", "cat of uneven events"):  # which cannot be told of in one
        assert mine.domain.check(x.detach()).all()
        assert mine.codomain.check(y.detach()).all()


@pytest.mark.parametrize("name", [n for n in CASES if n not in (
    "abs", "softmax", "lower", "definite")])
def test_volume_change(name):
    mine, theirs, x, tx = both(name)
    got, want = mine.log_abs_det_jacobian(x, mine(x)), theirs.log_abs_det_jacobian(tx, theirs(tx))
    same(got, want)
    gradients_agree(got, want, x, tx)
    y, ty = mine(x).detach().requires_grad_(), theirs(tx).detach().requires_grad_()
    got = mine.inv.log_abs_det_jacobian(y, mine.inv(y))
    want = theirs.inv.log_abs_det_jacobian(ty, theirs.inv(ty))
    same(got, want)
    gradients_agree(got, want, y, ty)


@pytest.mark.parametrize("name", CASES)
def test_facts(name):
    mine, theirs, x, tx = both(name)
    for attribute in ("bijective", "domain", "codomain", "event_dim"):
        for one, other in ((mine, theirs), (mine.inv, theirs.inv)):
            try:
                want = getattr(other, attribute)
            except ValueError:
                with pytest.raises(ValueError, match="either .domain.event_dim or .codomain"):
                    getattr(one, attribute)
            else:
                assert repr(getattr(one, attribute)) == repr(want)
    assert repr(mine) == repr(theirs)
    assert repr(mine.inv) == repr(theirs.inv)
    assert mine.forward_shape(x.shape) == tuple(theirs.forward_shape(tx.shape))
    after = theirs(tx).shape
    assert mine.inverse_shape(after) == tuple(theirs.inverse_shape(after))
    assert mine.inv.forward_shape(after) == tuple(theirs.inverse_shape(after))
    assert mine.inv.inverse_shape(x.shape) == tuple(theirs.forward_shape(tx.shape))


@pytest.mark.parametrize("name", [
    "exp", "sigmoid", "softplus", "tanh", "power", "falling power", "affine numbers",
    "affine tensors", "cumulative", "compose", "independent affine"])
def test_sign(name):
    mine, theirs, _, _ = both(name)
    for one, other in ((mine, theirs), (mine.inv, theirs.inv)):
        found = one.sign
        if isinstance(found, fb.Tensor):
            same(found.double(), other.sign.double())
        else:
            assert (found, type(found)) == (other.sign, type(other.sign))


@pytest.mark.parametrize("name", CASES)
def test_a_cache_gives_back_what_came_in(name):
    text, values = CASES[name]
    cached = make(text, fb, D).with_cache()
    x = fb.tensor(values, dtype=fb.float64)
    y = cached(x)
    again = cached.inv(y)
    if name != "compose nothing":
        assert cached._cache_size == 1
        assert y is not x
    if name not in ("cat of batch", "cat", "cat of events", "cat of uneven events", "stack",
                    "stack of columns"):
        assert again is x
        assert cached(x) is y
    assert cached.with_cache(1) is cached
    assert cached.with_cache(0)._cache_size == 0
    uncached = make(text, fb, D)
    assert uncached.with_cache(0) is uncached
    if name not in ("compose nothing", "abs", "reshape", "reshape to number"):
        assert uncached.inv(uncached(x)) is not x


def test_a_cache_serves_the_inverse_first_too():
    t = T.ExpTransform(cache_size=1)
    y = fb.tensor([1.0, 2.0])
    x = t.inv(y)
    assert t(x) is y
    assert t.inv(y) is x
    assert t(x.clone()) is not y
    inverse = T.ExpTransform().inv.with_cache()
    assert inverse.inv(inverse(y)) is y


def test_the_caches_of_parts():
    x = fb.tensor([0.5])
    for text in ("T.ComposeTransform([T.ExpTransform()], cache_size=1)",
                 "T.IndependentTransform(T.ExpTransform(), 1, cache_size=1)",
                 "T.CatTransform([T.ExpTransform()], cache_size=1)",
                 "T.StackTransform([T.ExpTransform()], cache_size=1)"):
        t = make(text, fb, D)
        parts = getattr(t, "parts", None) or getattr(t, "transforms", None) or [t.base_transform]
        assert [p._cache_size for p in parts] == [1], text
        assert fb.equal(t.inv(t(x)), x)
        bare = t.with_cache(0)
        assert bare._cache_size == 0


def test_an_inverse_s_inverse_is_the_transform():
    for name, (text, _) in CASES.items():
        t = make(text, fb, D)
        inverse = t.inv
        assert inverse.inv is t, name
        assert t.inv is inverse, name
        assert t.inv == t.inv


def test_an_inverse_is_not_kept_alive_by_its_transform():
    t = T.ExpTransform()
    t.inv.mark = 1
    gc.collect()
    assert not hasattr(t.inv, "mark")
    kept = t.inv
    kept.mark = 1
    assert t.inv.mark == 1


def test_copies_and_pickles():
    t = T.AffineTransform(fb.tensor([1.0]), 2.0, cache_size=1)
    kept = t.inv
    for other in (pickle.loads(pickle.dumps(t)), copy.copy(t), copy.deepcopy(t)):
        assert other == t
        assert other is not t
        assert other.inv is not kept
        assert other.inv.inv is other
    mixed = T.ComposeTransform([T.ExpTransform(), T.StickBreakingTransform()])
    assert mixed.inv == pickle.loads(pickle.dumps(mixed)).inv


EQUAL = ["T.ExpTransform()", "T.AbsTransform()", "T.PowerTransform(2.0)", "T.PowerTransform(3.0)",
         "T.AffineTransform(1, 2)", "T.AffineTransform(1, 3)", "T.AffineTransform(2, 2)",
         "T.AffineTransform(t([1.0, 2.0]), 2)", "T.AffineTransform(t([1.0, 3.0]), 2)",
         "T.SigmoidTransform()", "T.SoftplusTransform()", "T.TanhTransform()",
         "T.SoftmaxTransform()", "T.StickBreakingTransform()", "T.LowerCholeskyTransform()",
         "T.PositiveDefiniteTransform()", "T.identity_transform",
         "T.ComposeTransform([T.ExpTransform()])", "T.ComposeTransform([T.AbsTransform()])",
         "T.ExpTransform().inv", "T.TanhTransform().inv"]


def test_equality():
    torch = pytest.importorskip("torch")
    for i, one in enumerate(EQUAL):
        for j, other in enumerate(EQUAL):
            a, b = make(one, fb, D), make(other, fb, D)
            want = make(one, torch, torch.distributions) == make(other, torch, torch.distributions)
            assert (a == b) is want is (i == j), (one, other)
            assert (a != b) is not want
    with pytest.raises(TypeError, match="unhashable"):
        hash(T.ExpTransform())


def test_values_stay_within_the_codomain_at_the_ends():
    torch = pytest.importorskip("torch")
    ends = [-200.0, -50.0, 50.0, 200.0]
    for text in ("T.SigmoidTransform()", "T.StickBreakingTransform()",
                 "T.CorrCholeskyTransform()", "T.SoftplusTransform()"):
        mine, theirs = make(text, fb, D), make(text, torch, torch.distributions)
        x, tx = fb.tensor(ends)[:, None], torch.tensor(ends)[:, None]
        same(mine(x), theirs(tx), 1e-6)
        same(mine.inv(mine(x)), theirs.inv(theirs(tx)), 1e-5)
    for bound in (0.0, 1.0):
        y, ty = fb.tensor([bound]), torch.tensor([bound])
        same(T.SigmoidTransform().inv(y), torch.distributions.SigmoidTransform().inv(ty), 1e-6)
    over, their_over = fb.tensor([0.75, 0.5, 0.0]), torch.tensor([0.75, 0.5, 0.0])
    stick = torch.distributions.StickBreakingTransform()
    same(T.StickBreakingTransform().inv(over), stick.inv(their_over), 1e-6)


def test_a_scale_that_is_broadcast_within_the_event_counts_once_for_each_number():
    x = fb.tensor([1.0, 2.0, 3.0])
    t = T.AffineTransform(0.0, fb.tensor(2.0), event_dim=1)
    each = T.AffineTransform(0.0, fb.tensor([2.0, 2.0, 2.0]), event_dim=1)
    assert fb.equal(t.log_abs_det_jacobian(x, t(x)), each.log_abs_det_jacobian(x, each(x)))


@pytest.mark.parametrize("name", [
    "stick", "corr", "independent", "affine vector"])
def test_volume_change_is_the_jacobian_s(name):
    text, values = CASES[name]
    t = make(text, fb, D)
    x = fb.tensor(values[0], dtype=fb.float64, requires_grad=True)
    y = t(x)
    free = D.utils.tril_matrix_to_vec(y, -1) if y.ndim == 2 else y[:3]
    jacobian = fb.stack([fb.autograd.grad(one, x, retain_graph=True)[0] for one in free])
    want = fb.linalg.slogdet(jacobian).logabsdet
    assert fb.allclose(t.log_abs_det_jacobian(x, t(x)), want)


def test_how_many_correlations_there_are():
    correlations = T.CorrCholeskyTransform()
    for size in range(1, 40):
        shape = (2, 3, size * (size - 1) // 2)
        assert correlations.forward_shape(shape) == (2, 3, size, size)
        assert correlations.inverse_shape((2, 3, size, size)) == shape


def test_a_dimension_from_the_end_may_be_the_first():
    one = fb.tensor([2.0])
    assert T.StackTransform([T.ExpTransform()], -1)(one) == one.exp()
    assert T.CatTransform([T.ExpTransform()], -1)(one) == one.exp()


def test_the_sign_of_a_scale():
    signs = [T.AffineTransform(1, scale).sign for scale in (0.5, 3, 0.0, -0.5, -2)]
    assert signs == [1, 1, 0, -1, -1]
    assert T.AffineTransform.domain.is_discrete is False


@pytest.mark.parametrize("parts", [
    "[T.ExpTransform(), T.StickBreakingTransform()]",
    "[T.StickBreakingTransform(), T.ExpTransform()]",
    "[T.AffineTransform(0, 1, 2), T.ReshapeTransform((2, 3), (6,)), T.ExpTransform()]",
    "[T.ReshapeTransform((6,), (2, 3)), T.StickBreakingTransform(), T.AffineTransform(0, 1, 3)]",
    "[T.ReshapeTransform((), (1, 1)), T.ExpTransform()]",
])
def test_the_dimensions_of_a_composition(parts):
    torch = pytest.importorskip("torch")
    mine = make(f"T.ComposeTransform({parts})", fb, D)
    theirs = make(f"T.ComposeTransform({parts})", torch, torch.distributions)
    for one, other in ((mine, theirs), (mine.inv, theirs.inv)):
        assert repr(one.domain) == repr(other.domain)
        assert repr(one.codomain) == repr(other.codomain)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: T.ExpTransform(cache_size=2), ValueError, "cache_size must be 0 or 1"),
    (lambda: T.ReshapeTransform((2, 3), (5,)), ValueError, "different numbers of elements"),
    (lambda: T.ReshapeTransform((2, 3), (6,)).forward_shape((4, 3, 2)), ValueError, "mismatch"),
    (lambda: T.ReshapeTransform((2, 3), (6,)).inverse_shape((4, 5)), ValueError, "mismatch"),
    (lambda: T.ReshapeTransform((2, 3), (6,)).forward_shape((6,)), ValueError, "Too few"),
    (lambda: T.IndependentTransform(T.ExpTransform(), 2)(fb.ones(3)), ValueError, "Too few"),
    (lambda: T.IndependentTransform(T.ExpTransform(), 2).inv(fb.ones(3)), ValueError, "Too few"),
    (lambda: T.CorrCholeskyTransform().forward_shape((4,)), ValueError, "lower-diagonal number"),
    (lambda: T.CorrCholeskyTransform().forward_shape(()), ValueError, "Too few"),
    (lambda: T.CorrCholeskyTransform().inverse_shape((4, 3)), ValueError, "not square"),
    (lambda: T.CorrCholeskyTransform().inverse_shape((4,)), ValueError, "Too few"),
    (lambda: T.SoftmaxTransform().inverse_shape(()), ValueError, "Too few"),
    (lambda: T.StickBreakingTransform().forward_shape(()), ValueError, "Too few"),
    (lambda: T.StickBreakingTransform().inverse_shape(()), ValueError, "Too few"),
    (lambda: T.CatTransform([T.ExpTransform()], 0, [2])(fb.ones(3)), AssertionError, "mismatch"),
    (lambda: T.CatTransform([T.ExpTransform()], 1)(fb.ones(3)), AssertionError, "out of range"),
    (lambda: T.CatTransform([T.ExpTransform()], 0, [2, 2]), AssertionError, "must match"),
    (lambda: T.CatTransform([3]), AssertionError, "must be Transform instances"),
    (lambda: T.StackTransform([3]), AssertionError, "must be Transform instances"),
    (lambda: T.StackTransform([T.ExpTransform()])(fb.ones(3)), AssertionError, "mismatch"),
    (lambda: T.StackTransform([T.ExpTransform()], -2)(fb.ones(1)), AssertionError, "out of range"),
    (lambda: T.AbsTransform().sign, NotImplementedError, "no sign"),
    (lambda: T.AbsTransform().log_abs_det_jacobian(fb.ones(1), fb.ones(1)),
     NotImplementedError, "no log_abs_det_jacobian"),
    (lambda: T.Transform()(fb.ones(1)), NotImplementedError, "defines no _call"),
    (lambda: T.Transform().inv(fb.ones(1)), NotImplementedError, "has no inverse"),
])
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


CONSTRAINTS = [
    "real", "positive", "nonnegative", "greater_than(2)", "greater_than_eq(t([1.0, 2.0]))",
    "less_than(t(2.0))", "unit_interval", "half_open_interval(0, 1)", "interval(-1.0, 3.0)",
    "interval(t([0.0, 1.0]), t([1.0, 3.0]))", "half_open_interval(0.5, 2)", "simplex",
    "corr_cholesky", "real_vector", "independent(positive, 1)", "independent(simplex, 1)",
    "lower_cholesky", "positive_definite", "positive_semidefinite", "boolean",
    "cat([positive, unit_interval], -1, [1, 1])", "stack([positive, less_than(2)], 0)",
    "stack([interval(0, 1), real], -1)",
]


class TestRegistry:
    @pytest.mark.parametrize("name", CONSTRAINTS)
    @pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
    def test_against_torch(self, name, registry):
        torch = pytest.importorskip("torch")

        def of(library, distributions):
            def t(values):
                return library.tensor(values, dtype=library.float64)

            constraint = eval(name, {"t": t, **vars(distributions.constraints)})  # the names above
            return constraint, getattr(distributions, registry)

        constraint, transform_onto = of(fb, D)
        their_constraint, their_registry = of(torch, torch.distributions)
        try:
            want = their_registry(their_constraint)
        except NotImplementedError:
            with pytest.raises(NotImplementedError, match="Cannot transform _"):
                transform_onto(constraint)
            return
        found = transform_onto(constraint)
        assert repr(found) == repr(want)
        assert found.bijective == want.bijective
        values = SQUARE if "definite" in name or "lower" in name else [[0.5, -1.0], [2.0, 0.25]]
        if name == "corr_cholesky":
            values = ROWS
        x, tx = fb.tensor(values, dtype=fb.float64), torch.tensor(values, dtype=torch.float64)
        same(found(x), want(tx))
        assert constraint.check(found(x)).all()

    def test_registering(self):
        registry = D.constraint_registry.ConstraintRegistry()

        class Even(constraints.Constraint):
            pass

        @registry.register(Even)
        def make_even(constraint):
            return T.AffineTransform(0, 2)

        assert registry(Even()) == T.AffineTransform(0, 2)
        registry.register(Even(), lambda constraint: T.ExpTransform())
        assert registry(Even()) == T.ExpTransform()
        with pytest.raises(NotImplementedError, match="Cannot transform _Real constraints"):
            registry(constraints.real)
        with pytest.raises(TypeError, match="Constraint subclass or instance, but got 3"):
            registry.register(3, make_even)
        with pytest.raises(TypeError, match="Constraint subclass or instance"):
            registry.register(int, make_even)
