"""Sorting and selecting in C against NumPy's stable sort; any number of threads."""

import ml_dtypes
import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.kernels import sorting as plain
from flambeau_cpu.native.kernels import order, sorting
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)]
DTYPES = [*FLOATS, *map(np.dtype, ("i8", "i4", "i2", "i1", "u1", "?"))]
SHAPES = [((7,), 0), ((1,), 0), ((40,), 0), ((41,), 0), ((30, 5), 0), ((30, 5), 1), ((9, 700), -1),
          ((700, 9), 0), ((2, 300, 3), 1), ((140001,), 0), ((1, 5000), 1)]


def draw(shape, dtype, spread=40.0, seed=0):
    x = np.random.default_rng([seed, *shape]).standard_normal(shape) * spread
    if dtype.kind in "ui":
        x = np.clip(x, *(float(v) for v in (np.iinfo(dtype).min, np.iinfo(dtype).max)))
    x = x.astype(dtype)
    if dtype.kind in "fV" and x.size > 20:
        x.flat[[3, 11]], x.flat[5], x.flat[[6, 7, 8]] = np.nan, np.inf, [-0.0, 0.0, -0.0]
        x.flat[9] = -np.nan
    return x


def in_order(x, dim, descending=False):
    values, places = np.empty_like(x), np.empty(x.shape, np.int64)
    plain.sort_stable((values, places), x, dim, descending)
    return values, places


def same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == np.ascontiguousarray(b).tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
@pytest.mark.parametrize("descending", [False, True])
def test_rows_are_sorted_and_equal_elements_keep_their_order(shape, dim, descending, dtype):
    x = draw(shape, dtype)
    same(sorting.sort_stable(x, dim, descending), in_order(x, dim, descending))
    transposed = np.ascontiguousarray(x.T).T
    same(sorting.sort_stable(transposed, dim, descending), in_order(x, dim, descending))


def test_wide_integers_are_sorted_by_all_their_bytes():
    x = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 150_000)
    same(sorting.sort_stable(x, 0, False), in_order(x, 0))
    same(sorting.sort_stable(x[:3000], 0, True), in_order(x[:3000], 0, True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
@pytest.mark.parametrize("largest", [False, True])
def test_the_first_few(shape, dim, largest, dtype):
    x = draw(shape, dtype)
    n = shape[dim]
    values, places = in_order(x, dim, largest)
    for k in {1, min(3, n), n // 4, n // 2, n} - {0}:
        some = [slice(None)] * x.ndim
        some[dim] = slice(k)
        same(order.topk_along(x, k, dim, largest), (values[tuple(some)], places[tuple(some)]))


@pytest.mark.parametrize("values", [np.arange(50000.0), np.arange(50000.0)[::-1], np.zeros(50000)])
def test_the_first_few_of_what_is_in_order_already(values):
    x = values.astype(np.float32)
    for largest in (False, True):
        wanted = in_order(x, 0, largest)
        same(order.topk_along(x, 700, 0, largest), [t[:700] for t in wanted])
        same(order.kth_along(x, 700, 0, False), [t[699] for t in in_order(x, 0)])


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.itemsize <= 4], ids=str)
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_ranks_and_medians(shape, dim, dtype):
    x = draw(shape, dtype)
    values, places = in_order(x, dim)
    n = shape[dim]
    for k in {1, n, n // 2 + 1}:
        wanted = values.take(k - 1, dim), places.take(k - 1, dim)
        same(order.kth_along(x, k, dim, False), wanted)
        same(order.kth_along(x, k, dim, True), [np.expand_dims(t, dim) for t in wanted])
    numbers = (x == x).sum(dim, keepdims=True)
    for ignore in (False, True):
        at = np.maximum(numbers - 1, 0) // 2
        if not ignore:
            at = np.where(numbers == n, (n - 1) // 2, numbers)
        wanted = [np.take_along_axis(t, at, dim) for t in (values, places)]
        same(order.median_along(x, dim, True, ignore), wanted)
    assert order.median_all(x, True).shape == ()


def test_wide_ranks_are_left_to_the_sort():
    assert order.kth_along(np.zeros(9), 1, 0, False) is NotImplemented


def test_results_are_equal_for_any_number_of_threads():
    x, results = draw((400_000,), FLOATS[0]), []
    before = fb.get_num_threads()
    for threads in (1, 2, 3):
        fb.set_num_threads(threads)
        rows = x.reshape(100, 4000)
        results.append([*sorting.sort_stable(x, 0, False), *sorting.sort_stable(rows, 1, True),
                        *order.topk_along(rows, 9, 0, True)])
    fb.set_num_threads(before)
    for other in results[1:]:
        same(other, results[0])
