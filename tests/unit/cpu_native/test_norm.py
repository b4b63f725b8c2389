"""Normalisation in C against float64, for odd sizes and strides and any number of threads."""

import ml_dtypes
import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.native.kernels.batch_norm import kernels as batch
from flambeau_cpu.native.kernels.group_norm import kernels as group
from flambeau_cpu.native.kernels.layer_norm import kernels as layer
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
EPS = 1e-5
TOLERANCE = {"float32": 2e-5, "float64": 1e-12, "float16": 2e-2, "bfloat16": 1e-1}
DTYPES = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16),
          np.dtype(ml_dtypes.bfloat16)]
SHAPES = [((4, 10), 1), ((7, 67), 1), ((2, 3, 5, 7), 2), ((3, 9001), 1), ((301, 130), 1),
          ((5, 1), 1)]


def run(table, name, *arrays, **settings):
    result = table.fresh[name][1](*arrays, **settings)
    assert result is not NotImplemented
    return result


def draw(shape, dtype, seed=0, shift=0.0):
    return (np.random.default_rng(seed).standard_normal(shape) + shift).astype(dtype)


def check(mine, wanted, dtype):
    limit = TOLERANCE[str(dtype)]
    for a, b in zip(mine, wanted, strict=True):
        scale = max(np.abs(b).max(), 1)
        np.testing.assert_allclose(a.astype(np.float64), b, rtol=limit, atol=limit * scale)


def rows_back(grad, x, w, b, axes, centred=True):
    """Result and gradients of a normalisation over axes, in float64."""
    lead = tuple(range(axes[0]))
    mean = x.mean(axes, keepdims=True) if centred else 0
    rstd = 1 / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + EPS)
    xhat = (x - mean) * rstd
    gx = grad * w
    first = gx.mean(axes, keepdims=True) if centred else 0
    dx = rstd * (gx - first - xhat * (gx * xhat).mean(axes, keepdims=True))
    return xhat * w + b, dx, (grad * xhat).sum(lead), grad.sum(lead)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "count"), SHAPES)
@pytest.mark.parametrize("affine", [True, False])
def test_rows_of_layer_and_rms_norm(shape, count, dtype, affine):
    x, grad = draw(shape, dtype, shift=1.0), draw(shape, dtype, 1)
    last, axes = shape[-count:], tuple(range(len(shape) - count, len(shape)))
    w, b = (draw(last, dtype, k) if affine else None for k in (2, 3))
    exact = [1.0 if w is None else w.astype(np.float64), 0.0 if b is None else b.astype(np.float64)]
    wide, grad_wide = x.astype(np.float64), grad.astype(np.float64)
    out, mean, rstd = run(layer, "native_layer_norm", x, w, b, normalized_shape=last, eps=EPS)
    grads = run(layer, "layer_norm_grads", grad, x, mean, rstd, w, count=count, eps=EPS,
                for_input=True, for_weight=True, for_bias=True)
    assert out.dtype == grads[0].dtype == dtype
    if shape[-1] > 1:
        check((out, *grads), rows_back(grad_wide, wide, *exact, axes), dtype)
    out = run(layer, "rms_norm", x, w, normalized_shape=last, eps=EPS)
    dx, dw = run(layer, "rms_norm_grads", grad, x, w, count=count, eps=EPS, for_input=True,
                 for_weight=True)
    wanted = rows_back(grad_wide, wide, exact[0], 0.0, axes, centred=False)
    check((out, dx, dw), wanted[:3], dtype)


def test_only_what_is_wanted_of_the_gradients():
    x, grad, w = draw((9, 33), np.float32), draw((9, 33), np.float32, 1), draw(33, np.float32, 2)
    _, mean, rstd = run(layer, "native_layer_norm", x, w, None, normalized_shape=(33,), eps=EPS)
    whole = run(layer, "layer_norm_grads", grad, x, mean, rstd, w, count=1, eps=EPS,
                for_input=True, for_weight=True, for_bias=True)
    for k in range(3):
        needs = {n: i == k for i, n in enumerate(("for_input", "for_weight", "for_bias"))}
        found = run(layer, "layer_norm_grads", grad, x, mean, rstd, w, count=1, eps=EPS, **needs)
        assert [f is None for f in found] == [i != k for i in range(3)]
        np.testing.assert_allclose(found[k], whole[k], rtol=1e-6, atol=1e-6)


def test_variance_beside_a_large_mean():
    x = draw((4, 6000), np.float32, shift=3000.0)
    out, _, rstd = run(layer, "native_layer_norm", x, None, None, normalized_shape=(6000,), eps=EPS)
    wanted = x.astype(np.float64).std(1)
    np.testing.assert_allclose(1 / rstd[:, 0], wanted, rtol=1e-4)
    assert np.abs(out.mean(1)).max() < 1e-3


def test_strided_arrays_and_expanded_gradients():
    x = draw((33, 20), np.float32).T[:, ::2]
    out, mean, rstd = run(layer, "native_layer_norm", x, None, None, normalized_shape=(17,),
                          eps=EPS)
    grad = np.broadcast_to(draw(17, np.float32, 1), x.shape)
    grads = run(layer, "layer_norm_grads", grad, x, mean, rstd, None, count=1, eps=EPS,
                for_input=True, for_weight=False, for_bias=False)
    wanted = rows_back(grad.astype(np.float64), x.astype(np.float64), 1.0, 0.0, (1,))
    check((out, grads[0]), wanted[:2], np.dtype(np.float32))


def test_what_does_not_fit_is_declined():
    x, w = draw((3, 4), np.float32), draw(4, np.float64)
    call = layer.fresh["native_layer_norm"][1]
    assert call(x, w, None, normalized_shape=(4,), eps=EPS) is NotImplemented
    assert call(x, None, None, normalized_shape=(3,), eps=EPS) is NotImplemented
    assert call(x.astype(int), None, None, normalized_shape=(4,), eps=EPS) is NotImplemented


def for_thread_counts(work):
    """The results for several numbers of threads are the same bits."""
    before, results = fb.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            fb.set_num_threads(count)
            results.append(work())
    finally:
        fb.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_equal(results[0], other)


def test_layer_norm_does_not_depend_on_the_number_of_threads():
    x, grad, w = (draw(s, np.float32, k) for k, s in enumerate([(900, 301), (900, 301), (301,)]))

    def work():
        out, mean, rstd = run(layer, "native_layer_norm", x, w, w, normalized_shape=(301,), eps=EPS)
        return out, *run(layer, "layer_norm_grads", grad, x, mean, rstd, w, count=1, eps=EPS,
                         for_input=True, for_weight=True, for_bias=True)

    for_thread_counts(work)


# ---- batch norm --------------------------------------------------------------------------------
def channels(p, ndim):
    return p.astype(np.float64).reshape(-1, *(1,) * (ndim - 2))


def last_in_memory(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def batch_back(grad, x, mean, var, w, training):
    """The gradients of batch normalisation, in float64."""
    axes, count = (0, *range(2, x.ndim)), x.size // x.shape[1]
    rstd = 1 / np.sqrt(channels(var, x.ndim) + EPS)
    xhat = (x - channels(mean, x.ndim)) * rstd
    dw, db = (grad * xhat).sum(axes), grad.sum(axes)
    dx = grad * channels(w, x.ndim) * rstd
    if training:
        dx -= (channels(db, x.ndim) + xhat * channels(dw, x.ndim)) * channels(w, x.ndim) * (
            rstd / count)
    return dx, dw, db


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("shape", [(4, 6), (513, 70), (3, 5, 7), (2, 3, 45, 67), (9, 70, 13, 11),
                                   (2, 3, 4, 5, 6), (5, 7, 1, 1)])
@pytest.mark.parametrize("place", [np.ascontiguousarray, last_in_memory])
def test_batch_norm(shape, place, dtype):
    x, grad = place(draw(shape, dtype, shift=2.0)), draw(shape, dtype, 1)
    w, b = draw(shape[1], dtype, 2), draw(shape[1], dtype, 3)
    wide, axes = x.astype(np.float64), (0, *range(2, x.ndim))
    out, mean, var = run(batch, "batch_norm_train", x, w, b, eps=EPS)
    assert out.strides == x.strides
    exact = wide.mean(axes), wide.var(axes)
    check((mean, var), exact, dtype)

    def normal(mean, var):
        scaled = (wide - channels(mean, x.ndim)) / np.sqrt(channels(var, x.ndim) + EPS)
        return scaled * channels(w, x.ndim) + channels(b, x.ndim)

    check((out,), (normal(*exact),), dtype)
    given = draw(shape[1], dtype, 4), np.abs(draw(shape[1], dtype, 5)) + dtype.type(0.5)
    for place_of_grad in (np.ascontiguousarray, last_in_memory):
        g = place_of_grad(grad)
        for training, stats in ((True, (mean, var)), (False, given)):
            found = run(batch, "batch_norm_grads", g, x, *stats, w, eps=EPS, training=training,
                        for_input=True, for_weight=True, for_bias=True)
            check(found, batch_back(grad.astype(np.float64), wide, *stats, w, training), dtype)
    check((run(batch, "batch_norm_eval", x, w, b, *given, eps=EPS),), (normal(*given),), dtype)


def test_variance_of_channels_beside_a_large_mean():
    for place in (np.ascontiguousarray, last_in_memory):
        x = place(draw((16, 5, 20, 20), np.float32, shift=3000.0))
        _, _, var = run(batch, "batch_norm_train", x, None, None, eps=EPS)
        np.testing.assert_allclose(var, x.astype(np.float64).var((0, 2, 3)), rtol=1e-3)


@pytest.mark.parametrize("place", [np.ascontiguousarray, last_in_memory])
def test_batch_norm_does_not_depend_on_the_number_of_threads(place):
    x, grad = (place(draw((16, 33, 40, 41), np.float32, k)) for k in (0, 1))

    def work():
        out, mean, var = run(batch, "batch_norm_train", x, None, None, eps=EPS)
        return out, mean, var, *run(
            batch, "batch_norm_grads", grad, x, mean, var, None, eps=EPS, training=True,
            for_input=True, for_weight=True, for_bias=True)

    for_thread_counts(work)


# ---- group norm --------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize(("shape", "groups"), [
    ((2, 4, 3, 2), 2), ((3, 6, 45), 3), ((2, 5, 7, 11), 5), ((3, 8), 2), ((5, 6, 70, 71), 1)])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm(shape, groups, dtype, affine):
    x, grad = draw(shape, dtype, shift=1.0), draw(shape, dtype, 1)
    w, b = (draw(shape[1], dtype, k) if affine else None for k in (2, 3))
    out, mean, rstd = run(group, "group_norm_stats", x, w, b, num_groups=groups, eps=EPS)
    grads = run(group, "group_norm_grads", grad, x, mean, rstd, w, num_groups=groups, eps=EPS,
                for_input=True, for_weight=True, for_bias=True)

    def grouped(a):
        return a.astype(np.float64).reshape(shape[0], groups, shape[1] // groups, -1)

    def per_channel(p, other):
        p = np.full(shape[1], other) if p is None else p
        return p.astype(np.float64).reshape(groups, -1, 1)

    wanted = rows_back(grouped(grad), grouped(x), per_channel(w, 1), per_channel(b, 0), (2, 3))
    mean = grouped(x).mean((2, 3), keepdims=True)
    xhat = (grouped(x) - mean) / np.sqrt(grouped(x).var((2, 3), keepdims=True) + EPS)
    sums = (grouped(grad) * xhat).sum((0, 3)).reshape(-1), grouped(grad).sum((0, 3)).reshape(-1)
    check((out, *grads), (*(a.reshape(shape) for a in wanted[:2]), *sums), dtype)


def test_group_norm_does_not_depend_on_the_number_of_threads():
    x, grad = (draw((16, 32, 30, 31), np.float32, k) for k in (0, 1))

    def work():
        out, mean, rstd = run(group, "group_norm_stats", x, None, None, num_groups=8, eps=EPS)
        return out, *run(group, "group_norm_grads", grad, x, mean, rstd, None, num_groups=8,
                         eps=EPS, for_input=True, for_weight=True, for_bias=True)

    for_thread_counts(work)
