"""Constraints: which values they let through, against PyTorch's."""

import pytest

import flambeau as fb
from flambeau.distributions import constraints

inf, nan = float("inf"), float("nan")
NUMBERS = [-inf, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, inf, nan]
VECTORS = [
    [0.0, 1.0, 0.0], [0.5, 0.25, 0.25], [1.0, 1.0, 0.0], [2.0, 3.0, 0.0], [6.0, -1.0, 0.0],
    [1.5, -0.5, 0.0], [0.5, 0.5, 2e-6], [0.5, 0.5, 5e-7], [0.0, 0.0, 0.0], [0.0, 2.0, -1.0],
    [nan, 0.0, 1.0],
]
EYE = [[1.0, 0.0], [0.0, 1.0]]
MATRICES = [
    EYE, [[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [0.6, 0.7]], [[1.0, 0.0], [0.6, -0.8]],
    [[2.0, 0.5], [0.5, 2.0]], [[1.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]],
    [[-1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [3.0, 0.0]], [[1.0, 0.5], [0.0, 1.0]],
    [[2.0, 0.5], [0.5 + 5e-7, 2.0]], [[2.0, 0.5], [0.5001, 2.0]],
    [[1 + 1e-6, 0.0], [0.0, 1.0]], [[1 + 4e-6, 0.0], [0.0, 1.0]], [[nan, 0.0], [0.0, 1.0]],
]
OF_NUMBERS = [
    "boolean", "real", "positive", "nonnegative", "unit_interval", "nonnegative_integer",
    "positive_integer", "interval(-1, 2)", "interval(-0.5, T(2.0))", "half_open_interval(-1, 2)",
    "integer_interval(-1, 2)", "integer_interval(T(0.5), 3)", "greater_than(1)",
    "greater_than_eq(T(1.0))", "less_than(2)", "independent(positive, 0)",
    "MixtureSameFamilyConstraint(positive)",
]
OF_VECTORS = [
    "simplex", "one_hot", "multinomial(5)", "multinomial(0)", "real_vector",
    "independent(positive, 1)", "independent(real, 2)", "cat([positive, real, boolean], -1)",
    "cat([unit_interval, real], 1, [2, 1])", "stack([positive, real, boolean], -1)",
    "cat([simplex, one_hot], 0, [8, 3])", "stack([real, integer_interval(-1, 1)], 1)",
    "MixtureSameFamilyConstraint(simplex)", "MixtureSameFamilyConstraint(interval(L, 3))",
]
OF_MATRICES = [
    "lower_triangular", "lower_cholesky", "corr_cholesky", "square", "symmetric",
    "positive_semidefinite", "positive_definite", "independent(simplex, 1)",
    "stack([corr_cholesky] * 7 + [symmetric] * 8)", "stack([simplex, real_vector], -2)",
    "stack([simplex, real_vector], -1)", "cat([square, symmetric], lengths=[7, 8])",
]


def of(name, library, namespace):
    scope = {"T": library.tensor, "L": library.tensor([-1.0, 0.0, 0.5])}
    return eval(name, {**scope, **vars(namespace)})  # the names above


def both(name):
    torch = pytest.importorskip("torch")
    import torch.distributions.constraints as theirs

    return of(name, fb, constraints), of(name, torch, theirs), torch


@pytest.mark.parametrize(
    ("name", "values"),
    [(n, NUMBERS) for n in OF_NUMBERS] + [(n, VECTORS) for n in OF_VECTORS]
    + [(n, MATRICES) for n in OF_MATRICES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_let_through(name, values, dtype):
    mine, theirs, torch = both(name)
    got = mine.check(fb.tensor(values, dtype=getattr(fb, dtype)))
    want = theirs.check(torch.tensor(values, dtype=getattr(torch, dtype)))
    assert got.dtype == fb.bool
    assert got.tolist() == want.tolist()
    assert repr(mine) == repr(theirs)
    assert (mine.is_discrete, mine.event_dim) == (theirs.is_discrete, theirs.event_dim)


@pytest.mark.parametrize("name", ["positive_definite", "positive_semidefinite", "symmetric"])
@pytest.mark.parametrize(
    "matrix", [*MATRICES[:-1], [[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]]], ids=str)
def test_a_matrix_by_itself(name, matrix):  # a batch with one that is not symmetric stops there
    mine, theirs, torch = both(name)
    assert mine.check(fb.tensor(matrix)).tolist() == theirs.check(torch.tensor(matrix)).tolist()


@pytest.mark.parametrize("name", [n for n in OF_VECTORS if "cat" not in n and "stack" not in n])
def test_more_batch_dimensions_and_none(name):
    mine, theirs, torch = both(name)
    for values in ([VECTORS, VECTORS[::-1]], VECTORS[1]):
        if name == "independent(real, 2)" and values is VECTORS[1]:
            continue
        assert mine.check(fb.tensor(values)).tolist() == theirs.check(torch.tensor(values)).tolist()


@pytest.mark.parametrize("name", ["square", "lower_triangular", "symmetric"])
def test_matrices_that_are_not_square(name):
    mine, theirs, torch = both(name)
    assert mine.check(fb.zeros(2, 3, 4)).tolist() == theirs.check(torch.zeros(2, 3, 4)).tolist()


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("step", [0.9, 1.1])
def test_the_tolerance_of_a_correlation_grows_with_the_size(size, step):
    value = fb.eye(size, dtype=fb.float64) * (1 + step * size * 10 * fb.finfo(fb.float64).eps)
    assert constraints.corr_cholesky.check(value).item() is (step < 1)


def test_all_of_torch_s_names():
    pytest.importorskip("torch")
    import torch.distributions.constraints as theirs

    assert sorted(constraints.__all__) == sorted(theirs.__all__)
    for name in theirs.__all__:
        expected = getattr(theirs, name)
        if isinstance(expected, type):
            assert getattr(constraints, name).__name__ == expected.__name__
        elif isinstance(expected, theirs.Constraint):
            assert repr(getattr(constraints, name)) == repr(expected)


class TestDependent:
    def test_attributes_are_known_when_given(self):
        given = constraints.dependent(is_discrete=True)(event_dim=1)
        assert given.is_discrete is True
        assert given.event_dim == 1
        with pytest.raises(NotImplementedError, match=r"\.event_dim cannot be determined"):
            _ = constraints.dependent(is_discrete=True).event_dim
        with pytest.raises(NotImplementedError, match=r"\.is_discrete cannot be determined"):
            _ = constraints.dependent.is_discrete

    def test_nothing_is_checked(self):
        with pytest.raises(ValueError, match="validity of dependent constraint"):
            constraints.dependent.check(fb.ones(2))

    def test_a_property_is_a_constraint_on_the_class(self):
        class Uniform:
            high = 3

            @constraints.dependent_property(is_discrete=False, event_dim=0)
            def support(self):
                return constraints.interval(0, self.high)

        assert constraints.is_dependent(Uniform.support)
        assert Uniform.support.is_discrete is False
        assert Uniform.support.event_dim == 0
        assert repr(Uniform().support) == "Interval(lower_bound=0, upper_bound=3)"
        assert not constraints.is_dependent(Uniform().support)
        assert not constraints.is_dependent(constraints.real)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: constraints.Constraint().check(fb.ones(1)), NotImplementedError, None),
    (lambda: constraints.independent(3, 1), AssertionError, "must be a Constraint, got int"),
    (lambda: constraints.independent(constraints.real, 1.0), AssertionError, "an int, got float"),
    (lambda: constraints.independent(constraints.real, -1), AssertionError, ">= 0, got -1"),
    (lambda: constraints.independent(constraints.real, 2).check(fb.ones(3)), ValueError,
     r"Expected value.dim\(\) >= 2 but got 1"),
    (lambda: constraints.MixtureSameFamilyConstraint(2), AssertionError, "must be a Constraint"),
    (lambda: constraints.MixtureSameFamilyConstraint(constraints.simplex).check(fb.tensor(1.0)),
     ValueError, r"Expected value.dim\(\) >= 1 but got 0"),
    (lambda: constraints.cat([constraints.real, 3]), AssertionError, "cseq"),
    (lambda: constraints.stack([constraints.real, 3]), AssertionError, "cseq"),
    (lambda: constraints.cat([constraints.real], 0, [1, 2]), AssertionError, "must match cseq"),
    (lambda: constraints.cat([constraints.real], 1).check(fb.ones(1)), AssertionError, "out of"),
    (lambda: constraints.cat([constraints.real], -2).check(fb.ones(1)), AssertionError, "out of"),
    (lambda: constraints.stack([constraints.real], 1).check(fb.ones(1)), AssertionError, "out of"),
    (lambda: constraints.stack([constraints.real], -2).check(fb.ones(1)), AssertionError, "out of"),
])
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
