import numpy as np
import pytest

from flambeau_cpu.kernels import TABLE as NUMPY
from flambeau_cpu.onednn import rows
from flambeau_cpu.onednn.kernels import TABLE
from flambeau_cpu.onednn.kernels import activation as A
from flambeau_cpu.onednn.kernels import softmax as S

pytestmark = pytest.mark.usefixtures("dnnl")
SINGLE = np.float32


def _kernel(name):
    return TABLE.fresh[name][1]


def _near(a, b, scale=1.0):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6 * scale)


@pytest.fixture
def many_parts(monkeypatch):
    for module, unit in ((S, None), (A, 16)):
        monkeypatch.setattr(module, "_COST", 1.0)
        module._plan.cache_clear()
        if unit:
            monkeypatch.setattr(module, "_UNIT", unit)
    yield
    S._plan.cache_clear()
    A._plan.cache_clear()


# ---- softmax -----------------------------------------------------------------------------------
@pytest.mark.usefixtures("many_parts")
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(1, 1), (7,), (13, 5), (3, 70, 17), (50, 1031), (300, 2)])
def test_softmax(rng, everywhere, name, shape):
    x, g = (rng.standard_normal(shape) * 5 for _ in range(2))
    y = NUMPY.fresh[f"{name}_along"](x, -1)
    if name == "softmax":
        _near(everywhere(_kernel("softmax_along"), x.astype(SINGLE), -1), y)
    _near(everywhere(_kernel(f"{name}_backward"), g.astype(SINGLE), y.astype(SINGLE), -1),
          NUMPY.fresh[f"{name}_backward"](g, y, -1), 10 * shape[-1] ** 0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_softmax_leaves_what_is_not_finite_to_numpy(rng, bad):
    x = rng.standard_normal((40, 30)).astype(SINGLE)
    x[35, 3] = bad
    assert _kernel("softmax_along")(x, 1) is NotImplemented
    x[35] = -np.inf
    assert _kernel("softmax_along")(x, 1) is NotImplemented
    x[35, 0] = 0
    assert _kernel("softmax_along")(x, 1)[35].tolist() == [1] + [0] * 29


@pytest.mark.parametrize("x", [np.ones((4, 4)), np.ones((0, 4), SINGLE), np.ones((), SINGLE),
                               np.ones((4, 6), SINGLE)[:, ::2]])
def test_softmax_declines(x):
    assert _kernel("softmax_along")(x, -1) is NotImplemented


def test_softmax_declines_other_dimensions():
    assert _kernel("softmax_along")(np.ones((4, 4), SINGLE), 0) is NotImplemented


# ---- activations -------------------------------------------------------------------------------
FORWARD = [("gelu", {"approximate": "none"}), ("gelu", {"approximate": "tanh"}), ("silu", {}),
           ("sigmoid", {})]
BACKWARD = [("gelu_backward", {"approximate": "none"}),
            ("gelu_backward", {"approximate": "tanh"}), ("silu_backward", {}),
            ("sigmoid_backward", {}), ("threshold_backward", {"threshold": 0})]


def _orders(x):
    yield x
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    yield np.ascontiguousarray(x.T).T


@pytest.mark.usefixtures("many_parts")
@pytest.mark.parametrize(("name", "settings"), FORWARD)
def test_activations(rng, everywhere, name, settings):
    x = rng.standard_normal((5, 7, 33)) * 4
    exact = NUMPY.fresh[name](x, **settings)
    for single in _orders(x.astype(SINGLE)):
        y = everywhere(_kernel(name), single, **settings)
        _near(y, exact)
        assert y.strides == single.strides


@pytest.mark.usefixtures("many_parts")
@pytest.mark.parametrize(("name", "settings"), BACKWARD)
def test_gradients_of_activations(rng, everywhere, name, settings):
    g, x = rng.standard_normal((5, 7, 33)), rng.standard_normal((5, 7, 33)) * 4
    exact = NUMPY.fresh[name](g, x, **settings)
    for a, b in zip(_orders(g.astype(SINGLE)), _orders(x.astype(SINGLE)), strict=True):
        _near(everywhere(_kernel(name), a, b, **settings), exact, np.abs(exact).max())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize(("name", "settings"), FORWARD)
def test_activations_of_extreme_values_are_numpys(name, settings, value):
    x = np.zeros(100, SINGLE)
    x[77] = value
    y = _kernel(name)(x, **settings)
    if y is not NotImplemented:
        np.testing.assert_array_equal(y[77], NUMPY.fresh[name](x, **settings)[77])


@pytest.mark.parametrize(("name", "settings"), BACKWARD)
def test_gradients_at_nan_are_numpys(name, settings):
    x, g = np.zeros(100, SINGLE), np.ones(100, SINGLE)
    x[77], g[78] = np.nan, np.nan
    y = _kernel(name)(g, x, **settings)
    if y is not NotImplemented:
        np.testing.assert_array_equal(np.isnan(y), np.isnan(NUMPY.fresh[name](g, x, **settings)))


def test_declines_arrays_with_gaps_or_unlike():
    x = np.ones((8, 8), SINGLE)
    assert _kernel("gelu")(x[:, ::2]) is NotImplemented
    assert _kernel("silu_backward")(x, np.asfortranarray(x)) is NotImplemented
    assert _kernel("threshold_backward")(x, x, 0.5) is NotImplemented
    assert _kernel("gelu")(x.astype(float)) is NotImplemented


@pytest.mark.parametrize(("shape", "order"), [((2, 3, 4), (2, 0, 1)), ((3,), (0,)),
                                              ((2, 3, 4, 5), (0, 3, 1, 2))])
def test_arrays_in_memory_order(shape, order):
    x = np.arange(np.prod(shape)).reshape(shape).transpose(order)
    assert rows.is_dense(x)
    assert rows.in_memory_order(x).tolist() == list(range(x.size))
    assert rows.empty_like(x).strides == x.strides
