"""Matrix products in C against float64, for odd sizes, strides and dtypes, and their one order."""

import ml_dtypes
import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.native.kernels import matmul
from flambeau_cpu.native.kernels.addmm import addmm
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
HALF, BRAIN = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)
LIMITS = {SINGLE: 1e-6, DOUBLE: 1e-15, HALF: 1e-3, BRAIN: 8e-3}  # of the sum of the magnitudes
SHAPES = [(1, 1, 1), (1, 7, 5), (5, 7, 1), (3, 1, 4), (13, 17, 15), (14, 256, 32), (15, 257, 33),
          (29, 300, 47), (70, 513, 100), (130, 33, 600), (2, 1030, 3), (64, 4100, 27),
          (300, 20, 520)]


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(matmul, "LEAST", 0)
    monkeypatch.setattr(matmul, "LEAST_MATRIX", 0)


def draw(shape, dtype=SINGLE, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def product(a, b, *rest):
    result = matmul.product(a, b, *rest)
    assert result is not NotImplemented
    return result


def check(result, a, b, summand=0.0, alpha=1.0):
    """Compare with float64; the error is measured by the sum of the terms' magnitudes."""
    dtype = result.dtype
    a, b = a.astype(np.float64), b.astype(np.float64)
    wanted = alpha * (a @ b) + summand
    scale = abs(alpha) * (np.abs(a) @ np.abs(b)) + np.abs(summand) + 1e-30
    assert result.shape == wanted.shape
    assert result.flags.c_contiguous
    error = np.abs(result.astype(np.float64) - wanted) / scale
    assert not error.size or error.max() <= LIMITS[dtype]


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_matrices_laid_out_in_every_way(m, k, n, dtype):
    a, b = draw((m, k), dtype), draw((k, n), dtype, 1)
    for left in (a, np.asfortranarray(a), np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3], a[::-1]):
        for right in (b, np.asfortranarray(b), np.repeat(b, 2, 1)[:, ::2], b[:, ::-1]):
            check(product(left, right), left, right)
    check(product(a.T, b, matmul.LEFT_TURNED), a, b)
    check(product(a, b.T, matmul.RIGHT_TURNED), a, b)
    check(product(a[0], b), a[0], b)
    check(product(a, b[:, 0]), a, b[:, 0])


@pytest.mark.parametrize("dtype", [SINGLE, BRAIN], ids=str)
@pytest.mark.parametrize(("left", "right"), [
    ((5, 3, 4), (4, 6)), ((3, 4), (5, 4, 6)), ((2, 1, 3, 4), (7, 4, 2)), ((2, 5, 3, 4), (5, 4, 6)),
    ((1, 3, 4), (1, 4, 6)), ((4,), (5, 4, 6)), ((5, 3, 4), (4,)), ((2, 3, 1, 4), (4,)),
    ((9, 40, 70), (9, 70, 50)), ((3, 0, 4), (3, 4, 2)), ((2, 3, 0), (0, 4)), ((0, 3, 4), (4, 2)),
])
def test_batches_are_broadcast(left, right, dtype):
    a, b = draw(left, dtype), draw(right, dtype, 1)
    check(product(a, b), a, b)
    if a.ndim == 3:
        turned = np.ascontiguousarray(a.transpose(1, 0, 2)).transpose(1, 0, 2)
        check(product(turned, b), a, b)
    if a.ndim > 1 < b.ndim:
        check(product(a, b.swapaxes(-1, -2), matmul.RIGHT_TURNED), a, b)


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (0.5, 1), (2, -0.25), (1, 0)])
def test_a_summand_is_scaled_and_added(alpha, beta, dtype):
    a, b = draw((37, 300), dtype), draw((300, 41), dtype, 1)
    rows, whole = draw((41,), dtype, 2), draw((37, 41), dtype, 3)
    for summand in (rows, whole, np.asfortranarray(whole), whole[::-1]):
        check(addmm(summand, a, b, beta, alpha), a, b, beta * summand.astype(np.float64), alpha)


def test_a_summand_that_counts_for_nothing_may_be_nan():
    a, b = draw((20, 30)), draw((30, 40), seed=1)
    assert np.isfinite(addmm(np.full(40, np.nan, SINGLE), a, b, 0, 1)).all()


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
@pytest.mark.parametrize("size", [0, 1, 31, 64, 1000, 65537, 200_001])
def test_vectors(size, dtype):
    a, b = draw((size,), dtype), draw((size,), dtype, 1)
    y = matmul.matmul(a, b)
    scale = np.abs(a.astype(np.float64) * b).sum() + 1e-30
    assert y.shape == ()
    assert y.dtype == dtype
    assert abs(y - a.astype(np.float64) @ b.astype(np.float64)) <= LIMITS[dtype] * scale


def test_infinities_and_nans_stay_in_their_rows_and_columns():
    a, b = draw((33, 40)), draw((40, 35), seed=1)
    a[3, 5], b[7, 34] = np.inf, np.nan
    y = product(a, b)
    assert np.isnan(y[:, 34]).all()
    assert np.isinf(y[3, :34]).all()
    assert np.isfinite(np.delete(np.delete(y, 3, 0), 34, 1)).all()


def test_what_is_declined():
    a = draw((8, 8))
    assert matmul.product(a, a.astype(DOUBLE)) is NotImplemented
    assert matmul.product(a.astype(int), a.astype(int)) is NotImplemented
    assert matmul.matmul(a[0], a[0].astype(HALF)) is NotImplemented
    assert matmul.matmul(a[0], a[:, 0]) is NotImplemented
    assert matmul.matmul(a[0], a[0, 1:]) is NotImplemented
    assert matmul.matmul(a, draw((7, 8))) is NotImplemented
    assert matmul.matmul(a, draw((7,))) is NotImplemented
    assert matmul.matmul(a, np.array(2, SINGLE)) is NotImplemented


# ---- one order of summation --------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_an_element_depends_on_its_row_and_column_alone(dtype):
    a, b = draw((300, 1100), dtype), draw((1100, 200), dtype, 1)
    whole = product(a, b)
    for rows in (slice(0, 1), slice(7, 9), slice(3, 40), slice(100, 300)):
        for columns in (slice(0, 1), slice(5, 20), slice(0, 32), slice(70, 200)):
            part = product(a[rows], b[:, columns])
            np.testing.assert_array_equal(part, whole[rows, columns])
    np.testing.assert_array_equal(product(a[5], b), whole[5])
    np.testing.assert_array_equal(product(a, b[:, 5]), whole[:, 5])
    np.testing.assert_array_equal(product(a[None].repeat(3, 0), b)[2], whole)
    np.testing.assert_array_equal(product(b.T, a.T), whole.T)
    np.testing.assert_array_equal(product(np.asfortranarray(a), np.asfortranarray(b)), whole)


def test_the_order_is_the_one_that_is_documented():
    k, block = 900, 384
    a, b = draw((1, k)), draw((k, 1), seed=1)
    total = None
    for start in range(0, k, block):
        part = 0.0
        for p in range(start, min(start + block, k)):  # exact in float64, then rounded: an fma
            part = float(np.float32(float(a[0, p]) * float(b[p, 0]) + part))
        total = np.float32(part) if total is None else np.float32(total + np.float32(part))
    assert product(a, b)[0, 0] == total


@pytest.mark.parametrize("shape", [(500, 300, 400), (27, 20000, 64), (1, 900, 3000), (3000, 900, 1),
                                   (16, 700, 3000)])
def test_results_are_equal_for_any_number_of_threads(shape):
    m, k, n = shape
    a, b, batch = draw((m, k)), draw((k, n), seed=1), draw((6, 60, 130), seed=2)
    before = fb.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            fb.set_num_threads(threads)
            results.append((product(a, b), product(a, np.asfortranarray(b)),
                            product(batch, batch, matmul.RIGHT_TURNED)))
    finally:
        fb.set_num_threads(before)
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_the_out_form_may_write_to_an_operand():
    a, b = draw((40, 40)), draw((40, 40), seed=1)
    wanted = product(a, b)
    matmul.matmul_into(a, a, b)
    np.testing.assert_array_equal(a, wanted)
