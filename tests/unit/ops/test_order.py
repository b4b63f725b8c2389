"""Sorting, order statistics, scans, distinct values, searching and counting."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as fb

NAN, INF = math.nan, math.inf


def distinct(*shape: int) -> np.ndarray:
    """Values no two of which are equal, in a random order."""
    n = math.prod(shape)
    order = np.random.default_rng(0).permutation(n).reshape(shape)
    return np.asarray(order / 7 - 1, np.float32)


# ---- sorting -----------------------------------------------------------------------------------
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("shape", "dim"), [((3, 4), 0), ((3, 4), -1), ((), 0), ((0, 3), 1)])
def test_sort(parity, shape, dim, descending):
    parity("sort", distinct(*shape), dim, descending)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.bfloat16])
def test_nan_is_the_greatest(dtype):
    x = fb.tensor([NAN, 1.0, INF, -1.0], dtype=dtype)
    assert x.sort().indices.tolist() == [3, 1, 2, 0]
    assert x.sort(descending=True).indices.tolist() == [0, 2, 1, 3]
    assert x.topk(2).indices.tolist() == [0, 2]
    assert x.kthvalue(3).values.item() == INF
    assert math.isnan(x.median().item())
    assert x.nanmedian().item() == 1


@pytest.mark.parametrize("descending", [False, True])
def test_equal_values_keep_their_order(descending):
    x = fb.tensor([1, 0, 1, 0, 1])
    order = x.argsort(descending=descending, stable=True).tolist()
    assert order == ([0, 2, 4, 1, 3] if descending else [1, 3, 0, 2, 4])
    assert fb.sort(x, stable=True, dim=0).values.tolist() == [0, 0, 1, 1, 1]


def test_sort_of_a_strided_view_writes_to_out():
    x = fb.from_numpy(distinct(4, 6))[:, ::2].t()
    values, indices = fb.empty(3, 4), fb.empty(3, 4, dtype=fb.int64)
    fb.sort(x, 0, out=(values, indices))
    np.testing.assert_array_equal(values.numpy(), np.sort(x.numpy(), 0))
    np.testing.assert_array_equal(x.gather(0, indices).numpy(), values.numpy())


def test_msort(parity):
    parity("msort", distinct(4, 3))


def test_complex_numbers_have_no_order():
    with pytest.raises(RuntimeError, match="no order"):
        fb.sort(fb.tensor([1j]))


# ---- order statistics --------------------------------------------------------------------------
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize(("name", "args"), [
    ("median", ()), ("nanmedian", ()), ("mode", ()), ("kthvalue", (2,)), ("max", ()), ("min", ())])
@pytest.mark.parametrize(("shape", "dim"), [((3, 5), 0), ((3, 4), -1), ((2, 3, 4), 1)])
def test_along_a_dimension(parity, name, args, shape, dim, keepdim):
    parity(name, distinct(*shape), *args, dim, keepdim)


@pytest.mark.parametrize("name", ["median", "nanmedian", "max", "min"])
def test_of_all_elements(parity, name):
    parity(name, distinct(3, 4))


def test_medians_with_nan():
    x = fb.tensor([[3.0, NAN, 1.0, 2.0], [4.0, 1.0, 3.0, 2.0]])
    assert fb.median(x, 1).indices.tolist() == [1, 3]
    assert fb.nanmedian(x, 1).values.tolist() == [2.0, 2.0]
    assert math.isnan(fb.nanmedian(fb.tensor([NAN, NAN])).item())
    assert math.isnan(fb.median(fb.empty(0)).item())


def test_mode_is_the_smallest_of_the_most_frequent_and_where_it_is_last():
    assert fb.mode(fb.tensor([3, 1, 1, 3])) == (1, 2)
    assert fb.mode(fb.tensor([[1, 2, 2, 1]])).indices.tolist() == [3]
    assert fb.mode(fb.tensor([[5, 5, 4], [6, 6, 6]]), 0).values.tolist() == [5, 5, 4]


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("n", [5, 300])
def test_topk(parity, largest, n):
    parity("topk", distinct(3, n), 4, -1, largest)
    parity("topk", distinct(n, 3), 2, 0, largest)


def test_topk_finds_nan_first_among_many():
    x = fb.arange(400.0)
    x[17] = NAN
    indices = x.topk(3).indices
    assert indices.tolist() == [17, 399, 398]
    assert x.topk(2, largest=False).indices.tolist() == [0, 1]


@pytest.mark.parametrize("how", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("options", [{}, {"dim": 1}, {"dim": 0, "keepdim": True}])
@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantile(parity, name, how, options):
    parity(name, distinct(4, 5), 0.3, interpolation=how, **options)


def test_quantiles_at_once():
    x = fb.tensor([[1.0, 3.0, 2.0], [6.0, NAN, 5.0]])
    q = fb.tensor([0.0, 0.5, 1.0])
    assert fb.quantile(x[0], q).tolist() == [1.0, 2.0, 3.0]
    assert fb.nanquantile(x, q, 1).tolist() == [[1.0, 5.0], [2.0, 5.5], [3.0, 6.0]]
    assert math.isnan(fb.quantile(x, 0.5).item())


def test_refusals_of_order_statistics():
    x = fb.ones(3)
    for call, words in (
        (lambda: x.topk(4), "selected index k out of range"),
        (lambda: x.kthvalue(0), "out of range for dimension 0"),
        (lambda: x.quantile(2.0), r"in the range \[0, 1\] but got 2.0"),
        (lambda: x.quantile(fb.tensor([0.5], dtype=fb.float64)), "same dtype"),
        (lambda: fb.tensor([1, 2]).quantile(0.5), "either float or double"),
    ):
        with pytest.raises(RuntimeError, match=words):
            call()
    with pytest.raises(IndexError, match="non-zero size"):
        fb.empty(0).median(0)


# ---- scans -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
@pytest.mark.parametrize(("shape", "dim"), [((3, 4), 0), ((3, 5), -1), ((), 0), ((0, 3), 0)])
def test_scans(parity, name, shape, dim):
    parity(name, distinct(*shape), dim)


def test_running_extremes_of_equal_values_and_nan():
    assert fb.tensor([1.0, 1.0, 0.0, 2.0]).cummax(0).indices.tolist() == [0, 1, 1, 3]
    values, indices = fb.tensor([1.0, NAN, 2.0, NAN]).cummax(0)
    assert indices.tolist() == [0, 1, 1, 3]
    assert values.isnan().tolist() == [False, True, True, True]
    assert fb.tensor([2, 1, 1]).cummin(0).indices.tolist() == [0, 1, 2]


def test_running_product_through_zero(parity):
    parity("cumprod", np.array([2.0, 0.0, 3.0, 0.0, 4.0], np.float32), 0)


@pytest.mark.parametrize("name", ["cumprod", "logcumsumexp", "cummax"])
def test_decompositions_of_scans_agree_with_the_kernels(name):
    op = fb.registry.OPS[name]
    x = fb.from_numpy(distinct(4, 37))
    results = op.function(x, 1), op.decompose(x, 1)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in results), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-4)


def test_integers_are_scanned_as_int64():
    assert fb.tensor([100, 100], dtype=fb.uint8).cumsum(0).tolist() == [100, 200]
    assert fb.tensor([True, True]).cumprod(0).dtype is fb.int64


# ---- distinct values ---------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"dim": 0}, {"dim": 1}, {"dim": -1}])
@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
def test_unique(parity, name, options):
    x = np.random.default_rng(1).integers(0, 2, (6, 3, 2))
    parity(name, x, return_inverse=True, return_counts=True, **options)


@pytest.mark.parametrize("shape", [(0,), (1,), (4, 0)])
def test_unique_of_few(parity, shape):
    parity("unique", np.zeros(shape, np.int64), return_inverse=True, return_counts=True)


def test_nan_is_unique_every_time():
    assert fb.unique(fb.tensor([NAN, 1.0, NAN])).shape == (3,)


# ---- searching and counting --------------------------------------------------------------------
@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(parity, right):
    edges, values = np.array([1, 3, 3, 5.5]), np.array([[0.0, 3, 6], [5.5, 1, 4]])
    parity("searchsorted", edges, values, right=right, grad=False)
    parity("searchsorted", np.sort(distinct(2, 5), 1), distinct(2, 3), right=right, grad=False)
    parity("bucketize", values, edges, right=right, out_int32=True, grad=False)


def test_binary_search_agrees_with_the_kernel():
    edges, values = fb.from_numpy(np.sort(distinct(37))), fb.from_numpy(distinct(50) * 2)
    op = fb.registry.OPS["count_below"]
    for right in (False, True):
        assert op.function(edges, values, right).tolist() == (
            op.decompose(edges, values, right).tolist())


def test_search_with_a_sorter_and_for_a_number():
    assert fb.searchsorted(fb.tensor([3, 1, 2]), fb.tensor([2]), sorter=fb.tensor([1, 2, 0])) == 1
    assert fb.searchsorted(fb.tensor([1, 3, 5]), 3, side="right").item() == 2
    with pytest.raises(RuntimeError, match="first N-1 dimensions"):
        fb.searchsorted(fb.tensor([[1, 3], [2, 4]]), fb.tensor([1]))
    with pytest.raises(RuntimeError, match="opposites"):
        fb.searchsorted(fb.tensor([1]), fb.tensor([1]), right=True, side="left")


@pytest.mark.parametrize("options", [{}, {"bins": 5}, {"bins": 4, "min": -0.5, "max": 0.5}])
def test_histc(parity, options):
    parity("histc", distinct(6, 5), grad=False, **options)


def test_bincount(parity):
    x = np.array([1, 4, 1, 0])
    parity("bincount", x, minlength=7)
    parity("bincount", x, np.array([0.5, 1, 2, 4], np.float32), grad=False)
    with pytest.raises(RuntimeError, match="non-negative"):
        fb.bincount(fb.tensor([-1]))
    with pytest.raises(NotImplementedError, match="float32"):
        fb.bincount(fb.tensor([1.0]))
