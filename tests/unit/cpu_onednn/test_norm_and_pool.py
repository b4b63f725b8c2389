import numpy as np
import pytest

from flambeau_cpu.kernels import TABLE as NUMPY
from flambeau_cpu.onednn import pooling
from flambeau_cpu.onednn.kernels import TABLE
from flambeau_cpu.onednn.kernels import batch_norm as B
from flambeau_cpu.onednn.kernels import layer_norm as L

pytestmark = pytest.mark.usefixtures("dnnl")
SINGLE = np.float32


def _kernel(name):
    return TABLE.fresh[name][1]


def _near(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=5e-6 * max(1, np.abs(b).max()))


def _last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


@pytest.fixture(autouse=True)
def _many_parts(monkeypatch):
    plans = (L._forward_plan, L._backward_plan, B._forward_plan, B._backward_plan,
             pooling.planned)
    for plan in plans:
        plan.cache_clear()
    for module in (L, B, pooling):
        monkeypatch.setattr(module, "_COST", 1.0)
    yield
    for plan in plans:
        plan.cache_clear()


# ---- normalisation -----------------------------------------------------------------------------
@pytest.mark.parametrize(("shape", "count"), [((5, 7), 1), ((3, 40, 67), 1), ((50, 4, 9), 2),
                                              ((1, 1000), 1), ((1000, 3), 1)])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(rng, everywhere, shape, count, affine):
    x, g = rng.standard_normal(shape) * 3 + 2, rng.standard_normal(shape)
    inner = shape[-count:]
    w, b = (rng.standard_normal(inner), rng.standard_normal(inner)) if affine else (None, None)
    single = [None if p is None else p.astype(SINGLE) for p in (w, b)]
    expected = NUMPY.fresh["native_layer_norm"](x, w, b, inner, 1e-5)
    found = everywhere(_kernel("native_layer_norm"), x.astype(SINGLE), *single, inner, 1e-5)
    for y, z in zip(found, expected, strict=True):
        assert y.shape == z.shape
        _near(y, z)
    _, mean, rstd = expected
    rest = (count, 1e-5, True, True, True)
    grads = everywhere(_kernel("layer_norm_grads"), g.astype(SINGLE), x.astype(SINGLE),
                       mean.astype(SINGLE), rstd.astype(SINGLE), single[0], *rest)
    for y, z in zip(grads, NUMPY.fresh["layer_norm_grads"](g, x, mean, rstd, w, *rest),
                    strict=True):
        assert y.shape == z.shape
        _near(y, z)


def test_layer_norm_of_rows_with_little_variance(rng):
    x = (rng.standard_normal((4, 64)) * 1e-4).astype(SINGLE)
    g = rng.standard_normal((4, 64)).astype(SINGLE)
    _, mean, rstd = _kernel("native_layer_norm")(x, None, None, (64,), 1e-5)
    rest = (None, 1, 1e-5, True, False, False)
    dx = _kernel("layer_norm_grads")(g, x, mean, rstd, *rest)[0]
    wide = (a.astype(float) for a in (g, x, mean, rstd))
    _near(dx, NUMPY.fresh["layer_norm_grads"](*wide, *rest)[0])


@pytest.mark.parametrize("shape", [(6, 5, 7), (5, 16, 9, 11), (3, 7, 4, 5, 6)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(rng, everywhere, shape, affine):
    x, g = rng.standard_normal(shape) * 3 + 2, rng.standard_normal(shape)
    w, b, mean = (rng.standard_normal(shape[1]) for _ in range(3))
    w, b = (w, b) if affine else (None, None)
    var = rng.uniform(0.5, 2, shape[1])
    single = [None if p is None else p.astype(SINGLE) for p in (w, b, mean, var)]
    x1, g1 = _last(x.astype(SINGLE)), _last(g.astype(SINGLE))
    found = everywhere(_kernel("batch_norm_train"), x1, *single[:2], 1e-5)
    assert found[0].strides == x1.strides
    for y, z in zip(found, NUMPY.fresh["batch_norm_train"](x, w, b, 1e-5), strict=True):
        _near(y, z)
    _near(everywhere(_kernel("batch_norm_eval"), x1, *single, 1e-5),
          NUMPY.fresh["batch_norm_eval"](x, w, b, mean, var, 1e-5))
    for training in (True, False):
        rest = (1e-5, training, True, True, True)
        grads = everywhere(_kernel("batch_norm_grads"), g1, x1, single[2], single[3], single[0],
                           *rest)
        for y, z in zip(grads, NUMPY.fresh["batch_norm_grads"](g, x, mean, var, w, *rest),
                        strict=True):
            _near(y, z)


def test_batch_norm_takes_a_gradient_in_the_other_format(rng):
    x, g = (rng.standard_normal((4, 5, 6, 7)).astype(SINGLE) for _ in range(2))
    one = np.ones(5, SINGLE)
    rest = (one, one, one, 1e-5, True, True, True, True)
    for y, z in zip(_kernel("batch_norm_grads")(g, _last(x), *rest),
                    _kernel("batch_norm_grads")(_last(g), _last(x), *rest), strict=True):
        assert y.tobytes() == z.tobytes()
    assert _kernel("batch_norm_grads")(g, x, *rest) is NotImplemented


# ---- pooling -----------------------------------------------------------------------------------
POOLS = [  # shape, kernel, stride, padding, dilation, ceil_mode
    ((5, 3, 11), (3,), (2,), (1,), (1,), False),
    ((6, 16, 12, 13), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((4, 5, 11, 10), (3, 2), (2, 1), (1, 0), (1, 1), True),
    ((3, 16, 9, 9), (3, 3), (1, 1), (1, 1), (1, 1), False),
    ((2, 4, 6, 7, 8), (2, 3, 2), (2, 2, 1), (0, 1, 0), (1, 1, 1), False),
]


@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize("order", [np.asarray, _last])
def test_max_pool(rng, everywhere, case, order):
    shape, *options = case
    x = rng.integers(-20, 20, shape).astype(SINGLE)  # with equal ones
    expected, which = NUMPY.fresh["max_pool_windows"](x, *options)
    y, seen = everywhere(_kernel("max_pool_windows"), order(x), *options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(seen, which)
    np.testing.assert_array_equal(_kernel("max_pool_values")(order(x), *options), expected)
    g = rng.standard_normal(y.shape)
    _near(everywhere(_kernel("max_pool_scatter"), g.astype(SINGLE), seen, shape, *options),
          NUMPY.fresh["max_pool_scatter"](g, which, shape, *options))


def test_max_pool_with_dilation_is_numpys_or_declined(rng):
    x = rng.standard_normal((3, 4, 9, 10)).astype(SINGLE)
    options = ((2, 2), (2, 1), (0, 1), (2, 3), False)
    found = _kernel("max_pool_windows")(x, *options)
    if found is not NotImplemented:
        for y, z in zip(found, NUMPY.fresh["max_pool_windows"](x, *options), strict=True):
            np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_max_pool_leaves_what_onednn_does_not_know_to_numpy(value):
    x = np.ones((2, 4, 8, 8), SINGLE)
    x[1, 2, 2:4, 2:4] = value
    assert _kernel("max_pool_windows")(
        x, (2, 2), (2, 2), (0, 0), (1, 1), False) is NotImplemented


@pytest.mark.parametrize("case", [c for c in POOLS if not c[-1]])
@pytest.mark.parametrize("order", [np.asarray, _last])
@pytest.mark.parametrize("with_padding", [True, False])
def test_avg_pool(rng, everywhere, case, order, with_padding):
    shape, kernel, stride, padding, _, ceil_mode = case
    options = (kernel, stride, padding, ceil_mode, with_padding, None)
    x = rng.standard_normal(shape)
    y = everywhere(_kernel("avg_pool_windows"), order(x.astype(SINGLE)), *options)
    _near(y, NUMPY.fresh["avg_pool_windows"](x, *options))
    g = rng.standard_normal(y.shape)
    _near(everywhere(_kernel("avg_pool_spread"), order(g.astype(SINGLE)), shape, *options),
          NUMPY.fresh["avg_pool_spread"](g, shape, *options))


def test_avg_pool_declines_windows_that_pytorch_divides_otherwise():
    x = np.ones((2, 4, 7, 7), SINGLE)
    assert _kernel("avg_pool_windows")(
        x, (2, 2), (2, 2), (0, 0), True, True, None) is NotImplemented
    assert _kernel("avg_pool_windows")(
        x, (2, 2), (2, 2), (0, 0), False, True, 3) is NotImplemented
