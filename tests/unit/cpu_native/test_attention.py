"""Attention in C against NumPy's in double precision: lengths, strides, masks, threads."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.nn import functional as F
from flambeau_cpu.kernels.attention import kernels as plain
from flambeau_cpu.native.kernels.attention import kernels as native
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
SIZES = [  # leading dimensions, queries, keys, features, features of values
    ((2, 3), 5, 6, 4, 3), ((1, 2), 64, 64, 16, 16), ((2, 2), 100, 100, 24, 40),
    ((1, 1), 300, 520, 64, 64), ((2,), 33, 65, 7, 9), ((), 40, 300, 32, 32),
    ((2, 1, 3), 17, 129, 5, 33), ((1, 1), 1, 1, 1, 1), ((1, 1), 130, 1, 300, 2),
]
MASKS = [None, "causal", "bool", "float", "keys"]
SCALE = 0.4


def draw(lead, queries, keys, width, values, dtype, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((queries, width), (keys, width), (keys, values), (queries, values))
    return [rng.standard_normal((*lead, *s)).astype(dtype) for s in shapes]


def mask_of(kind, lead, queries, keys, dtype):
    rng = np.random.default_rng(9)
    if kind == "bool":
        mask = rng.random((queries, keys)) > 0.3
        mask[0] = False  # a row that sees nothing
        return mask
    if kind == "keys":
        return rng.random((1, keys)) > 0.3
    if kind == "float":
        return rng.standard_normal((*[1] * len(lead), queries, keys)).astype(dtype)
    return None


def both(table, q, k, v, g, mask, causal):
    """Result, log-sum, and the three gradients."""
    fresh = {n: f[1] if isinstance(f, tuple) else f for n, f in table.fresh.items()}
    out = fresh["attention"](q, k, v, mask, causal, SCALE)
    assert out is not NotImplemented
    grads = fresh["attention_grads"](g, q, k, v, mask, *out, causal, SCALE, True, True, True)
    assert grads is not NotImplemented
    return [*out, *grads]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_equals_numpy_in_double_precision(sizes, kind, dtype, close):
    lead, queries, keys = sizes[:3]
    arrays = draw(*sizes, dtype)
    mask = mask_of(kind, lead, queries, keys, dtype)
    mine = both(native, *arrays, mask, kind == "causal")
    exact = both(plain, *(a.astype(np.float64) for a in arrays),
                 mask if mask is None or mask.dtype == bool else mask.astype(np.float64),
                 kind == "causal")
    for a, b in zip(mine, exact, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=close, atol=close * max(1, abs(b).max()))


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (1, 0, 2, 3), (3, 0, 1, 2)])
def test_strides_change_nothing(order):
    arrays = draw((2, 3), 37, 70, 8, 8, np.float32)
    moved = [np.ascontiguousarray(a.transpose(order)).transpose(np.argsort(order)) for a in arrays]
    for a, b in zip(both(native, *arrays, None, True), both(native, *moved, None, True),
                    strict=True):
        np.testing.assert_array_equal(a, b)


def test_heads_that_lie_in_one_projection():
    x = np.random.default_rng(1).standard_normal((2, 40, 3 * 4 * 16)).astype(np.float32)
    q, k, v = (x[..., i * 64 : (i + 1) * 64].reshape(2, 40, 4, 16).swapaxes(1, 2) for i in range(3))
    g = np.ones(q.shape, np.float32)
    strided = both(native, q, k, v, g, None, True)
    near = both(native, *(np.ascontiguousarray(a) for a in (q, k, v)), g, None, True)
    for a, b in zip(strided, near, strict=True):
        np.testing.assert_array_equal(a, b)
    assert strided[0].swapaxes(1, 2).flags.c_contiguous
    assert strided[2].swapaxes(1, 2).flags.c_contiguous
    assert near[2].flags.c_contiguous


@pytest.mark.parametrize("lead", [(1, 1), (3, 4)])
def test_the_same_bits_for_any_number_of_threads(lead):
    before = fb.get_num_threads()
    arrays = draw(lead, 300, 700, 16, 16, np.float32)
    found = []
    for count in (1, 2, 3):
        fb.set_num_threads(count)
        found.append([a.tobytes() for a in both(native, *arrays, None, False)])
    fb.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_values_that_are_not_finite():
    q, k, v, _ = draw((1, 1), 40, 50, 8, 8, np.float32)
    q[0, 0, 3], v[0, 0, 7, 2] = np.nan, np.inf
    with np.errstate(all="ignore"):
        out = native.fresh["attention"][1](q, k, v, None, False, SCALE)[0]
    assert np.isnan(out[0, 0, 3]).all()
    assert np.isinf(out[0, 0, 4, 2])
    assert np.isfinite(out[0, 0, 4, :2]).all()


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    q, k, v = (fb.from_numpy(a) for a in draw((2, 2), 20, 30, 8, 8, np.float32)[:3])
    halves = [t.to(dtype).requires_grad_() for t in (q, k, v)]
    wide = [t.detach().float().requires_grad_() for t in halves]
    a = F.scaled_dot_product_attention(*halves)
    b = F.scaled_dot_product_attention(*wide)
    assert a.dtype is dtype
    assert (a == b.to(dtype)).all()
    a.sum().backward()
    b.sum().backward()
    for x, y in zip(halves, wide, strict=True):
        np.testing.assert_allclose(x.grad.float().numpy(), y.grad.numpy(), rtol=0.05, atol=0.03)


def test_what_it_does_not_know_is_declined():
    q, k, v, _ = draw((2,), 3, 4, 5, 6, np.float32)
    run = native.fresh["attention"][1]
    assert run(q, k.astype(np.float64), v, None, False, 1.0) is NotImplemented
    assert run(q[:1], k, v, None, False, 1.0) is NotImplemented
    assert run(q[:0], k[:0], v[:0], None, False, 1.0) is NotImplemented
    assert run(q, k, v, np.zeros((3, 4)), False, 1.0) is NotImplemented
    whole = [a.astype(np.int64) for a in (q, k, v)]
    assert run(*whole, None, False, 1.0) is NotImplemented
