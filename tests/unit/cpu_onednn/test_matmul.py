import numpy as np
import pytest

from flambeau_cpu.onednn.kernels import linear as L
from flambeau_cpu.onednn.kernels.matmul import matmul

pytestmark = pytest.mark.usefixtures("dnnl")


@pytest.fixture(autouse=True)
def _any_size(monkeypatch):
    monkeypatch.setattr("flambeau_cpu.onednn.kernels.matmul.LEAST", 0)
    monkeypatch.setattr("flambeau_cpu.onednn.kernels.linear.LEAST", 0)


def _near(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, np.abs(b).max()))


SHAPES = [
    ((5, 7), (7, 3)), ((1, 130), (130, 257)), ((300, 33), (33, 1)), ((257, 513), (513, 129)),
    ((40, 3000), (3000, 40)), ((3, 5, 7), (7, 4)), ((6, 33, 70), (6, 70, 45)),
    ((2, 1, 30, 20), (3, 20, 10)), ((1, 1), (1, 1)), ((2000, 64), (64, 300)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_products(rng, everywhere, a, b):
    a, b = (rng.standard_normal(s).astype(np.float32) for s in (a, b))
    _near(everywhere(matmul, a, b), a.astype(float) @ b.astype(float))


def _layouts(x):
    yield x
    yield np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)
    yield np.ascontiguousarray(np.repeat(x, 2, -1))[..., ::2]
    yield np.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 2)])[..., 1:-2]
    yield x[::-1]
    yield np.broadcast_to(x[:1], x.shape)


@pytest.mark.parametrize("shape", [((70, 40), (40, 90)), ((4, 20, 30), (4, 30, 10))])
def test_strides(rng, everywhere, shape):
    a, b = (rng.standard_normal(s).astype(np.float32) for s in shape)
    for x in _layouts(a):
        for y in _layouts(b):
            _near(everywhere(matmul, x, y), x.astype(float) @ y.astype(float))


def test_heads_of_attention_are_not_copied(rng, everywhere):
    q, k = (rng.standard_normal((3, 50, 4, 16)).astype(np.float32).transpose(0, 2, 1, 3)
            for _ in range(2))
    _near(everywhere(matmul, q, k.swapaxes(2, 3)),
          q.astype(float) @ k.swapaxes(2, 3).astype(float))


def test_nan_and_infinity_stay():
    a = np.ones((40, 40), np.float32)
    a[3, 5], a[4, 5] = np.nan, np.inf
    y = matmul(a, np.ones((40, 40), np.float32))
    assert np.isnan(y[3]).all()
    assert np.isposinf(y[4]).all()
    assert np.isfinite(np.delete(y, [3, 4], 0)).all()


@pytest.mark.parametrize("shapes", [((4,), (4, 3)), ((3, 4), (5, 3)), ((0, 4), (4, 3)),
                                    ((2, 3, 4), (5, 4, 3))])
def test_leaves_other_shapes_to_numpy(shapes):
    assert matmul(*(np.ones(s, np.float32) for s in shapes)) is NotImplemented


def test_leaves_other_dtypes_to_numpy():
    assert matmul(np.ones((4, 4)), np.ones((4, 4))) is NotImplemented


@pytest.mark.parametrize("lead", [(130,), (2, 65), (1,)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_and_its_gradients(rng, everywhere, lead, with_bias):
    x, w, g = (rng.standard_normal(s).astype(np.float32)
               for s in ((*lead, 70), (33, 70), (*lead, 33)))
    bias = rng.standard_normal(33).astype(np.float32) if with_bias else None
    y = everywhere(L.linear, x, w, bias)
    _near(y, x.astype(float) @ w.T.astype(float) + (0 if bias is None else bias))
    dx, dw, db = everywhere(L.linear_grads, g, x, w, True, True, True)
    _near(dx, g.astype(float) @ w)
    _near(dw, g.reshape(-1, 33).astype(float).T @ x.reshape(-1, 70))
    _near(db, g.reshape(-1, 33).astype(float).sum(0))
    assert L.linear_grads(g, x, w, False, False, True)[:2] == (None, None)
