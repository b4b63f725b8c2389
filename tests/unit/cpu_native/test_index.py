"""Reading, writing and adding by index in C against NumPy; any number of threads."""

import ml_dtypes
import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.kernels import index as plain
from flambeau_cpu.native.kernels import advanced, embedding, index, index_dim
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
DTYPES = [np.dtype(t) for t in (np.float32, np.float64, np.int64, np.int32, np.float16,
                                ml_dtypes.bfloat16, np.uint8, np.bool_, np.complex128)]
SHAPES = [((7,), 0), ((5, 6), 0), ((5, 6), 1), ((3, 40, 5), 1), ((300, 70), 0), ((300, 70), 1),
          ((2, 3, 4, 900), 3), ((2000, 33), 0)]


def draw(shape, dtype=np.float32, seed=0):
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * 9).astype(dtype)


def places(size, shape, seed=1):
    return np.random.default_rng([seed, *shape]).integers(0, size, shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_slices_are_taken(shape, dim, dtype):
    x, at = draw(shape, dtype), places(shape[dim], (500,))
    for which in (at, at.astype(np.int32), at[::3]):
        assert np.array_equal(index_dim.index_select(x, which, dim), x.take(which, dim))
    both = at.reshape(20, 25)
    keys = [None] * dim + [both - shape[dim] * (both % 2)]
    assert np.array_equal(advanced.index(x, keys), x.take(both, dim))
    for bad in (-1, shape[dim]):
        at[17] = bad
        assert index_dim.index_select(x, at, dim) is NotImplemented
    assert index_dim.index_select(x.T, at, 0) is NotImplemented or x.ndim == 1


@pytest.mark.parametrize("dtype", DTYPES[:4], ids=str)
@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_elements_are_gathered_and_scattered(shape, dim, dtype):
    long = list(shape)
    long[dim] = 2 * shape[dim] + 3
    x, at, src = draw(shape, dtype), places(shape[dim], tuple(long)), draw(tuple(long), dtype, 2)
    assert np.array_equal(index.gather(x, at, dim), np.take_along_axis(x, at, dim))
    for source in (src, 3):
        out, wanted = np.empty_like(x), np.empty_like(x)
        assert index.scatter_elements(out, x, at, source, dim) is None
        plain.scatter_elements(wanted, x, at, source, dim)
        assert np.array_equal(out, wanted)
    if dtype != np.int32:
        out, wanted = x.copy(), np.empty_like(x)
        assert index.scatter_add(out, out, at, src, dim) is None
        plain.scatter_add(wanted, x, at, src, dim)
        assert np.array_equal(out, wanted)
    at.flat[-1] = shape[dim]
    assert index.gather(x, at, dim) is NotImplemented
    assert index.scatter_elements(np.empty_like(x), x, at, src, dim) is NotImplemented


@pytest.mark.parametrize("dtype", DTYPES[:3], ids=str)
@pytest.mark.parametrize("width", [(), (1,), (5,), (64,), (3, 100)])
def test_rows_are_added_in_the_order_of_the_index(width, dtype):
    target, at = draw((90, *width), dtype), places(90, (3000,))
    rows = draw((3000, *width), dtype, 2)
    wanted = target.copy()
    np.add.at(wanted, at, rows)
    assert np.array_equal(index_dim.index_add_fresh(target, at, rows, 0, 1), wanted)
    out = target.copy()
    assert advanced.index_put(out, out, [(at - 90).reshape(30, 100)], rows.reshape(
        30, 100, *width), True) is None
    assert np.array_equal(out, wanted)
    at[2] = 90
    assert index_dim.index_add_fresh(target, at, rows, 0, 1) is NotImplemented


def test_elements_are_added_at_all_indices():
    target, keys = draw((30, 40)), [places(30, (5, 900)), places(40, (5, 900), 3) - 40]
    values, wanted = draw((5, 900)), target.copy()
    np.add.at(wanted, tuple(keys), values)
    assert advanced.index_put(target, target, keys, values, True) is None
    assert np.array_equal(target, wanted)
    keys[1][2, 2] = 40
    assert advanced.index_put(target, target, keys, values, True) is NotImplemented
    assert np.array_equal(target, wanted)


@pytest.mark.parametrize("padding", [-1, 0, 8, 39])
def test_the_gradient_of_a_table(padding):
    at, g = places(39, (50, 20)), draw((50, 20, 33))
    wanted = np.zeros((40, 33), np.float32)
    np.add.at(wanted, at, g)
    if padding >= 0:
        wanted[padding] = 0
    assert np.array_equal(
        embedding.embedding_dense_backward(g, at, 40, padding, False), wanted)
    weight = draw((40, 33))
    assert np.array_equal(embedding.embedding_rows(at, weight, padding, False), weight[at])
    at[3, 4] = -1
    assert embedding.embedding_rows(at, weight, padding, False) is NotImplemented
    assert embedding.embedding_dense_backward(g, at, 40, padding, False) is NotImplemented


@pytest.mark.parametrize("shape", [(7,), (300000,), (300, 700), (40, 50, 60), (2, 1, 3, 9000)])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_what_a_mask_chooses(shape, share):
    mask = np.random.default_rng(3).random(shape) < share
    assert np.array_equal(index.nonzero(mask, False), np.argwhere(mask))
    for dtype in DTYPES[:-1]:
        x = draw(shape, dtype)
        assert np.array_equal(index.masked_select(x, mask), x[mask])
    numbers = draw(shape) * mask
    assert np.array_equal(index.nonzero(numbers, False), np.argwhere(numbers))


def test_one_hot_rows():
    at = places(13, (70, 9))
    at[0, 0] = 12
    for classes in (-1, 13, 20):
        wanted = np.eye(max(classes, 13), dtype=np.int64)[at]
        assert np.array_equal(embedding.one_hot(at, classes), wanted)
    for classes in (12, 0):
        assert embedding.one_hot(at, classes) is NotImplemented
    assert embedding.one_hot(at - 1, 20) is NotImplemented


def test_results_are_equal_for_any_number_of_threads():
    at, src, results = places(500, (900, 400)), draw((900, 400)), []
    rows, mask = places(50, (9000,)), draw((500, 800)) > 0
    before = fb.get_num_threads()
    for threads in (1, 2, 3):
        fb.set_num_threads(threads)
        down, along = np.zeros((500, 400), np.float32), np.zeros((900, 500), np.float32)
        index.scatter_add(down, down, at, src, 0)
        index.scatter_add(along, along, at, src, 1)
        results.append([
            down, along, index.nonzero(mask, False),
            embedding.embedding_dense_backward(draw((9000, 40)), rows, 50, -1, False)])
    fb.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)
