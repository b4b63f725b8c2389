"""Running sums, products and extremes in C against float64; any number of threads."""

import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.kernels import scan as plain
from flambeau_cpu.native.kernels import scan
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
SHAPES = [((7,), 0), ((3, 5), 0), ((3, 5), 1), ((9, 700), -1), ((700, 9), 0), ((2, 30, 300), 1),
          ((1, 400000), 1), ((400000,), 0), ((5, 1, 3), 1)]


def draw(shape, dtype=np.float32, seed=0):
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * 9).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_sums_and_products(shape, dim, dtype):
    x = draw(shape, dtype)
    out = np.empty_like(x)
    assert scan.cumsum(out, x, dim) is None
    wanted = np.cumsum(x.astype(np.float64), dim)
    limit = {np.float32: 1e-7, np.float64: 1e-13, np.int64: 0}[dtype]
    np.testing.assert_allclose(out, wanted, rtol=0, atol=limit * np.abs(wanted).max() + limit)
    near = np.exp(x / 1000).astype(dtype) if dtype != np.int64 else x % 3 + 1
    with np.errstate(all="ignore"):
        wanted = np.cumprod(near if dtype == np.int64 else near.astype(np.float64), dim)
    result = scan.cumprod(near, dim, None)
    np.testing.assert_allclose(result, wanted, rtol=1e-7 if dtype == np.float32 else 1e-12)
    assert scan.cumsum(x, x, dim) is None  # onto itself
    assert np.array_equal(x, out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_extremes_and_where_they_were_last(shape, dim, dtype):
    x = draw(shape, np.int64).astype(dtype)
    if dtype != np.int64 and x.size > 10:
        x[tuple(n // 2 for n in shape)] = np.nan
    for function in (scan.cummax_along, scan.cummin_along):
        values, indices = function(x, dim)
        table = plain.kernels.fresh[function.__name__]
        for result, wanted in zip((values, indices), table(x, dim), strict=True):
            np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "dim"), [((300,), 0), ((40, 50), 0), ((40, 50), 1)])
def test_logarithms_of_sums(shape, dim, dtype):
    x = draw(shape, dtype)
    limit = 2e-7 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(
        scan.logcumsumexp(x, dim), np.logaddexp.accumulate(x.astype(np.float64), dim), rtol=limit,
        atol=limit)


def test_logarithms_of_infinities():
    inf, nan = np.inf, np.nan
    for x in ([-inf, -inf, 1.0, -inf], [inf, inf, 1.0, -inf], [0.0, nan, 1.0, inf], [-inf, inf]):
        x = np.array(x, np.float32)
        with np.errstate(invalid="ignore"):
            wanted = np.logaddexp.accumulate(x)
        np.testing.assert_allclose(scan.logcumsumexp(x, 0), wanted, rtol=1e-6)


def test_results_are_equal_for_any_number_of_threads():
    long, wide, results = draw((500000,)), draw((300, 1000)), []
    before = fb.get_num_threads()
    for threads in (1, 2, 3):
        fb.set_num_threads(threads)
        outs = np.empty_like(long), np.empty_like(wide), np.empty_like(wide)
        scan.cumsum(outs[0], long, 0)
        scan.cumsum(outs[1], wide, 0)
        scan.cumsum(outs[2], wide, 1)
        results.append(outs)
    fb.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.tobytes() == b.tobytes()
