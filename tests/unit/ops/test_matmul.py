"""Products of matrices, against PyTorch."""

import numpy as np
import pytest

import flambeau


@pytest.mark.parametrize(("a", "b"), [
    ((3, 4), (4, 5)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 3)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (3, 4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
    ((0, 4), (4, 3)), ((3, 0), (0, 4)), ((2, 0, 4), (4, 5)),
])
def test_matmul(parity, rand, a, b):
    parity("matmul", rand(*a), rand(*b))


def test_matmul_of_transposed_batches(rand):
    a, b = rand(3, 5, 4, 2), rand(3, 5, 4, 2)
    got = flambeau.from_numpy(a).permute(3, 0, 1, 2) @ flambeau.from_numpy(b).permute(3, 0, 2, 1)
    np.testing.assert_allclose(got.numpy(), a.transpose(3, 0, 1, 2) @ b.transpose(3, 0, 2, 1), 1e-5)


def test_complex_gradients_are_conjugated(parity, rand):
    a, b = rand(3, 4) + 1j * rand(3, 4), rand(4, 5) + 1j * rand(4, 5)
    parity("matmul", a.astype(np.complex64), b.astype(np.complex64))


def test_half_is_accumulated_in_single():
    a = flambeau.ones(1, 4096, dtype=flambeau.float16)
    assert (a @ a.t()).item() == 4096


@pytest.mark.parametrize("power", [1, 2, 3, 6])
def test_matrix_power(parity, rand, power):
    parity("matrix_power", rand(2, 3, 3), power, tolerance=1e-4)


def test_matrix_power_0_is_the_identity():
    assert flambeau.matrix_power(flambeau.ones(2, 2), 0).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(("name", "shapes"), [
    ("addmm", [(3, 5), (3, 4), (4, 5)]), ("addmm", [(5,), (3, 4), (4, 5)]),
    ("addmm", [(), (3, 4), (4, 5)]), ("addmv", [(3,), (3, 4), (4,)]),
    ("addr", [(3, 4), (3,), (4,)]), ("baddbmm", [(2, 3, 5), (2, 3, 4), (2, 4, 5)]),
    ("addbmm", [(3, 5), (2, 3, 4), (2, 4, 5)]),
])
@pytest.mark.parametrize(("beta", "alpha"), [(1, 1), (0.5, 2), (0, 1), (2, 0)])
def test_sums_of_products(parity, rand, name, shapes, beta, alpha):
    parity(name, *(rand(*s) for s in shapes), beta=beta, alpha=alpha)


def test_beta_0_ignores_nan():
    nan, one = flambeau.full((2, 2), float("nan")), flambeau.ones(2, 2)
    assert flambeau.addmm(nan, one, one, beta=0).tolist() == [[2, 2], [2, 2]]


def test_integers_truncate_the_factors(parity):
    ones = np.ones((2, 2), np.int64)
    parity("addmm", ones, ones, ones, beta=0.5, alpha=2.5)


def test_refusals():
    f, d = flambeau.ones(2, 2), flambeau.ones(2, 2, dtype=flambeau.float64)
    with pytest.raises(RuntimeError, match=r"float32 != float64.*\.to\(dtype\)"):
        f @ d
    with pytest.raises(RuntimeError, match="must have the same dtype"):
        flambeau.addmm(d, f, f)
    with pytest.raises(NotImplementedError, match="Bool"):
        (f > 0) @ (f > 0)
    with pytest.raises(RuntimeError, match="batches of square matrices"):
        flambeau.matrix_power(flambeau.ones(2, 3), 2)
