"""Affine maps in C and their gradients against float64."""

import ml_dtypes
import numpy as np
import pytest

from flambeau_cpu.native.kernels import matmul
from flambeau_cpu.native.kernels.linear import linear, linear_grads
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
DTYPES = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16),
          np.dtype(ml_dtypes.bfloat16)]
LIMITS = dict(zip(DTYPES, (2e-6, 1e-14, 2e-3, 2e-2), strict=True))


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(matmul, "LEAST", 0)
    monkeypatch.setattr(matmul, "LEAST_MATRIX", 0)


def draw(shape, dtype, seed):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def close(result, wanted):
    assert result.shape == wanted.shape
    limit = LIMITS[result.dtype] * np.abs(wanted).max()
    np.testing.assert_allclose(result.astype(np.float64), wanted, atol=limit, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 33), (12,), (40, 70), (3, 5, 64), (2, 3, 4, 300), (700, 31)])
@pytest.mark.parametrize("outs", [1, 10, 65])
def test_the_map_and_its_gradients(shape, outs, dtype):
    x, w, bias = draw(shape, dtype, 0), draw((outs, shape[-1]), dtype, 1), draw((outs,), dtype, 2)
    wide = [v.astype(np.float64) for v in (x, w, bias)]
    close(linear(x, w, bias), wide[0] @ wide[1].T + wide[2])
    close(linear(x, w, None), wide[0] @ wide[1].T)
    if x.ndim == 1:
        return
    g = draw((*shape[:-1], outs), dtype, 3)
    dx, dw, db = linear_grads(g, x, w, True, True, True)
    rows = g.astype(np.float64).reshape(-1, outs)
    close(dx, g.astype(np.float64) @ wide[1])
    close(dw, rows.T @ wide[0].reshape(-1, shape[-1]))
    close(db, rows.sum(0))


def test_gradients_that_are_not_wanted_are_none():
    x, w, g = draw((8, 9), DTYPES[0], 0), draw((7, 9), DTYPES[0], 1), draw((8, 7), DTYPES[0], 2)
    assert linear_grads(g, x, w, False, False, False) == (None, None, None)
    dx, dw, db = linear_grads(g, x, w, True, False, False)
    assert dx is not None
    assert dw is None
    assert db is None


def test_an_expanded_gradient():
    x, w = draw((30, 9), DTYPES[0], 0), draw((7, 9), DTYPES[0], 1)
    g = np.broadcast_to(np.float32(2), (30, 7))
    dx, dw, db = linear_grads(g, x, w, True, True, True)
    close(dx, g.astype(np.float64) @ w)
    close(dw, g.T.astype(np.float64) @ x)
    close(db, np.full(7, 60.0))
