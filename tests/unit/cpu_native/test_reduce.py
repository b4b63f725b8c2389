"""Reductions in C against float64: every layout, NaN, accuracy, any number of threads."""

import ml_dtypes
import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.native.kernels import extremes, moments, norms, reduce
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")

SHAPES = [((7,), None), ((3, 5), 0), ((3, 5), 1), ((37, 129), (0, 1)), ((2, 300, 3), 1),
          ((1000, 7), 0), ((3, 4, 5, 70), (0, 2)), ((3, 4, 5, 70), (1, 3)), ((2, 5000), 1),
          ((5, 1, 700), (0, 1)), ((70, 3, 1100), (0, 2)), ((300, 4, 9), (0, 2)), ((1, 1), None),
          ((300000,), 0), ((3, 200000), 1), ((3000, 150), 0), ((2, 900, 260), 1), ((50000, 3), 0)]
FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)]
LIMITS = dict(zip(FLOATS, (3e-6, 1e-13, 2e-3, 2e-2), strict=True))


def draw(shape, dtype=np.float32, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def layouts(x):
    """The array in row-major order, with its dimensions reversed in memory, and with gaps."""
    yield x
    yield np.ascontiguousarray(x.T).T
    if x.ndim > 1:
        gaps = np.zeros((x.shape[0], *(n + 2 for n in x.shape[1:])), x.dtype)
        inside = gaps[(slice(None), *(slice(1, -1) for _ in x.shape[1:]))]
        inside[...] = x
        yield inside


def close(result, wanted, x, scale=None):
    assert result.dtype == x.dtype
    assert result.shape == np.shape(wanted)
    limit = LIMITS[x.dtype] * (np.abs(wanted).max() + 1e-30 if scale is None else scale)
    np.testing.assert_allclose(result.astype(np.float64), wanted, atol=limit, rtol=0)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
@pytest.mark.parametrize("keepdim", [False, True])
def test_sums_extremes_and_norms_of_floats(shape, dim, keepdim, dtype):
    wide = draw(shape, dtype).astype(np.float64)
    how = {"axis": dim, "keepdims": keepdim}
    for x in layouts(wide.astype(dtype)):
        total = np.abs(wide).sum(**how).max()
        close(reduce.sum(x, dim, keepdim), wide.sum(**how), x, total)
        close(reduce.mean(x, dim, keepdim), wide.mean(**how), x, 1.0)
        close(reduce.amax(x, dim, keepdim), wide.max(**how), x)
        close(reduce.amin(x, dim, keepdim), wide.min(**how), x)
        close(reduce.vector_norm(x, 2, dim, keepdim, None), np.sqrt((wide**2).sum(**how)), x)
        variance, mean = moments.variance(x, dim, 1, keepdim)
        if wide.size > variance.size:
            close(variance, wide.var(ddof=1, **how), x)
        else:
            assert np.isnan(variance.astype(np.float32)).all()
        close(mean, wide.mean(dim, keepdims=True), x, 1.0)
        if x.itemsize > 2:
            close(reduce.vector_norm(x, 1, dim, keepdim, None), np.abs(wide).sum(**how), x)
            close(reduce.vector_norm(x, np.inf, dim, keepdim, None), np.abs(wide).max(**how), x)
            near = np.exp(x / 256)
            result = reduce.prod(near, dim, keepdim)
            np.testing.assert_allclose(result, near.astype(np.float64).prod(**how), rtol=(
                1e-7 if x.itemsize == 4 else 1e-15) * wide.size**0.5 + LIMITS[dtype])
            close(norms.logsumexp(x, dim, keepdim), np.log(np.exp(wide).sum(**how)), x)


@pytest.mark.parametrize("name", ["int64", "int32", "int16", "int8", "uint8", "bool"])
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_integers_and_truth(shape, dim, name):
    rng = np.random.default_rng(1)
    for x in layouts(rng.integers(0, 2 if name == "bool" else 100, shape).astype(name)):
        assert np.array_equal(reduce.sum(x, dim, False), x.sum(dim, dtype=np.int64))
        assert np.array_equal(reduce.amax(x, dim, False), x.max(dim))
        assert np.array_equal(reduce.amin(x, dim, True), x.min(dim, keepdims=True))
        assert np.array_equal(reduce.count_nonzero(x, dim), np.count_nonzero(x, dim))
        assert np.array_equal(reduce.any(x, dim, False), x.any(dim))
        assert np.array_equal(reduce.all(x, dim, False), x.all(dim))


@pytest.mark.parametrize("dtype", [*FLOATS, *map(np.dtype, ("i8", "i4", "u1"))], ids=str)
@pytest.mark.parametrize(("shape", "dim"), [
    ((7,), None), ((3, 5), 0), ((3, 5), 1), ((37, 1290), 1), ((37, 1290), 0), ((2, 300, 3), 1),
    ((3, 200000), 1), ((200000,), None), ((3000, 150), 0), ((4, 5, 6), None)], ids=str)
def test_places_of_extremes(shape, dim, dtype):
    rng = np.random.default_rng(2)
    for x in layouts(rng.integers(0, 200, shape).astype(dtype)):
        wide = x.astype(np.float64)
        for function, along, wanted, values in (
            (extremes.argmax, extremes.max_along, wide.argmax(dim), wide.max(dim)),
            (extremes.argmin, extremes.min_along, wide.argmin(dim), wide.min(dim)),
        ):
            assert np.array_equal(function(x, dim, False), wanted)
            if dim is not None:
                found, at = along(x, dim, False)
                assert np.array_equal(at, wanted)
                assert np.array_equal(found.astype(np.float64), values)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("dim", [0, 1])
def test_nan_wins_and_the_first_one_is_found(dim, dtype):
    x = draw((70, 1300), dtype)
    x[13, 600] = x[40, 600] = x[13, 1299] = np.nan
    at = extremes.argmax(x, dim, False)
    assert at[(600, 13)[dim]] == (13, 600)[dim]
    assert np.array_equal(at, extremes.argmin(x, dim, False)) is False
    for result in (reduce.amax(x, dim, False), reduce.amin(x, dim, False)):
        assert np.array_equal(np.isnan(result.astype(np.float32)),
                              np.isnan(x.astype(np.float32)).any(dim))


def test_infinities_in_a_logarithm_of_sums():
    x = draw((6, 3000))
    x[0] = -np.inf
    x[1, 5], x[2, 7] = np.inf, -np.inf
    x[3, :1024], x[4, 9] = -np.inf, np.nan
    for y, dim in ((x, 1), (np.ascontiguousarray(x.T), 0), (x - 300, 1)):
        wide = y.astype(np.float64)
        top = np.where(np.isinf(wide.max(dim)), 0, wide.max(dim))
        with np.errstate(all="ignore"):
            wanted = np.log(np.exp(wide - np.expand_dims(top, dim)).sum(dim)) + top
        np.testing.assert_allclose(norms.logsumexp(y, dim, False), wanted, rtol=2e-6)


def test_a_sum_is_as_accurate_as_numpys():
    for x in (np.full(1 << 22, 0.1, np.float32), draw((1 << 22,)) + np.float32(1)):
        exact = x.astype(np.float64).sum()
        assert abs(reduce.sum(x, None, False) - exact) <= abs(x.sum() - exact) + 1e-7 * exact
        columns = x.reshape(-1, 64)
        np.testing.assert_allclose(
            reduce.sum(columns, 0, False), columns.sum(0, dtype=np.float64), rtol=1e-6)


def test_a_variance_far_from_zero_is_accurate():
    x = draw((100_000,)) + np.float32(1000)
    variance, _ = moments.variance(x, None, 1, False)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(ddof=1), rtol=1e-6)


@pytest.mark.parametrize(("shape", "dim"), [((700, 1000), None), ((700, 1000), 0),
                                            ((90000, 5), 0), ((3, 300000), 1)])
def test_results_are_equal_for_any_number_of_threads(shape, dim):
    x, results = draw(shape), []
    before = fb.get_num_threads()
    for threads in (1, 2, 3):
        fb.set_num_threads(threads)
        results.append([reduce.sum(x, dim, False), *moments.variance(x, dim, 1, False),
                        norms.logsumexp(x, dim, False), reduce.prod(x, dim, False)])
    fb.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.tobytes() == b.tobytes()


def test_what_cannot_be_walked_is_declined():
    assert reduce.sum(np.broadcast_to(draw((3, 1)), (3, 9000)), 1, False) is NotImplemented
    assert reduce.sum(draw((90, 200))[:, ::2], 1, False) is NotImplemented
    assert reduce.sum(np.empty((0, 3), np.float32), 0, False) is NotImplemented
    assert reduce.sum(np.ones(3, np.complex64), None, False) is NotImplemented
