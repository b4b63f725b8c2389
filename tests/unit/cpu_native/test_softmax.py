"""Softmax in C against float64, for odd sizes and strides and any number of threads."""

import ml_dtypes
import numpy as np
import pytest

import flambeau as fb
from flambeau_cpu.native.kernels.softmax import kernels
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
TOLERANCE = {"float32": 3e-6, "float64": 1e-14, "float16": 1e-2, "bfloat16": 8e-2}
DTYPES = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16),
          np.dtype(ml_dtypes.bfloat16)]
CASES = [((4, 10), -1), ((3, 1), 1), ((5, 67), 1), ((2, 1031), -1), ((7, 5), 0), ((3, 11, 130), 1),
         ((2, 3, 4, 5), 2), ((70, 600), 1), ((9,), 0)]


def run(name, *arrays, dim):
    result = kernels.fresh[name][1](*arrays, dim=dim)
    assert result is not NotImplemented
    return result


def exact(name, x, dim):
    x = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        e = x - x.max(dim, keepdims=True)
    if name == "softmax_along":
        e = np.exp(e)
        return e / e.sum(dim, keepdims=True)
    return e - np.log(np.exp(e).sum(dim, keepdims=True))


def exact_backward(name, grad, y, dim):
    g, y = grad.astype(np.float64), y.astype(np.float64)
    if name == "softmax_backward":
        return y * (g - (g * y).sum(dim, keepdims=True))
    return g - np.exp(y) * g.sum(dim, keepdims=True)


def draw(shape, dtype, seed=0):
    return (3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "dim"), CASES)
@pytest.mark.parametrize("kind", ["softmax", "log_softmax"])
def test_result_and_gradient_are_those_of_float64(kind, shape, dim, dtype):
    x, grad, limit = draw(shape, dtype), draw(shape, dtype, 1), TOLERANCE[str(dtype)]
    y = run(f"{kind}_along", x, dim=dim)
    assert y.dtype == dtype
    np.testing.assert_allclose(
        y.astype(np.float64), exact(f"{kind}_along", x, dim), rtol=limit, atol=limit)
    dx = run(f"{kind}_backward", grad, y, dim=dim)
    wanted = exact_backward(f"{kind}_backward", grad, y, dim)
    np.testing.assert_allclose(
        dx.astype(np.float64), wanted, rtol=limit, atol=limit * np.abs(wanted).max())


def test_results_are_row_major_for_channels_last_inputs():
    x = np.ascontiguousarray(draw((2, 5, 6, 7), np.float32).transpose(0, 2, 3, 1)).transpose(
        0, 3, 1, 2)
    y = run("softmax_along", x, dim=1)
    assert y.flags.c_contiguous
    np.testing.assert_allclose(y, exact("softmax_along", x, 1), rtol=1e-5)
    grad = draw(x.shape, np.float32, 1)
    dx = run("softmax_backward", grad, y, dim=1)
    assert dx.flags.c_contiguous
    np.testing.assert_allclose(dx, exact_backward("softmax_backward", grad, y, 1), atol=1e-5)


def test_arrays_with_gaps_and_expanded_gradients():
    x = draw((6, 40), np.float32)[::2, 1::3]
    y = run("log_softmax_along", x, dim=-1)
    np.testing.assert_allclose(y, exact("log_softmax_along", x, -1), rtol=1e-5)
    grad = np.broadcast_to(np.float32(2), y.shape)
    np.testing.assert_allclose(
        run("log_softmax_backward", grad, y, dim=-1),
        exact_backward("log_softmax_backward", grad, y, -1), atol=1e-5)


@pytest.mark.parametrize("dim", [0, 1])
def test_infinities_and_nan_are_those_of_numpy(dim):
    x = draw((20, 20), np.float32)
    x[3, :] = -np.inf
    x[7, 2], x[11, 5], x[2, 13] = np.inf, np.nan, -np.inf
    for name in ("softmax_along", "log_softmax_along"):
        with np.errstate(invalid="ignore", divide="ignore"):
            wanted = exact(name, x, dim)
        np.testing.assert_allclose(run(name, x, dim=dim), wanted, rtol=1e-5, atol=1e-6)


def test_what_it_does_not_do_it_declines():
    for x, dim in ((np.zeros((3, 4), np.int64), 0), (np.zeros((3, 4), np.float32), 2),
                   (np.zeros((), np.float32), 0)):
        assert kernels.fresh["softmax_along"][1](x, dim=dim) is NotImplemented
    y = np.zeros((3, 4), np.float32)
    for grad in (y.astype(np.float64), y[:2]):
        assert kernels.fresh["softmax_backward"][1](grad, y, dim=0) is NotImplemented


def test_results_do_not_depend_on_the_number_of_threads():
    before = fb.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            fb.set_num_threads(count)
            for shape, dim in (((300, 1000), 1), ((4, 100, 999), 1)):
                y = run("softmax_along", draw(shape, np.float32), dim=dim)
                results.append((y, run("softmax_backward", draw(shape, np.float32, 1), y, dim=dim)))
    finally:
        fb.set_num_threads(before)
    for other in (results[2:4], results[4:]):
        np.testing.assert_equal(results[:2], other)
