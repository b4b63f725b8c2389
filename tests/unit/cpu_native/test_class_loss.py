"""Losses of classes in C against float64, and against NumPy's kernels for what they decline."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.nn import functional as F
from flambeau_cpu.native.kernels.class_loss import kernels
from flambeau_cpu.native.library import runtime

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")
IGNORED = 2
SHAPES = [(4, 10), (64, 3), (7, 67), (3, 5001), (2, 5, 3, 4), (9,), (900, 33)]
DTYPES = [np.float32, np.float64]


def run(name, *arrays, **settings):
    result = kernels.fresh[name][1](*arrays, **settings)
    assert result is not NotImplemented
    return result


def draw(seed, shape, dtype=np.float32):
    return (3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def setting(shape, dtype, weighted):
    axis = 1 if len(shape) > 1 else 0
    target = np.asarray(
        np.random.default_rng(1).integers(0, shape[axis], shape[:axis] + shape[axis + 1:]))
    weight = np.abs(draw(2, shape[axis], dtype)) + dtype(0.5) if weighted else None
    return draw(0, shape, dtype), target, weight


def exact(x, target, weight, grad, reduction, smoothing):
    """Loss and gradient of cross entropy, in float64; classes are the last dimension."""
    x, count = x.astype(np.float64), x.shape[-1]
    w = np.ones(count) if weight is None else weight.astype(np.float64)
    logarithms = x - x.max(-1, keepdims=True)
    logarithms = logarithms - np.log(np.exp(logarithms).sum(-1, keepdims=True))
    used = target != IGNORED
    hot = np.eye(count)[target] * w * (1 - smoothing) + w * smoothing / count
    hot = hot * used[..., None]
    losses = -(hot * logarithms).sum(-1)
    total = (w[target] * used).sum()
    scale = grad[..., None] / (total if reduction == "mean" else 1)
    slopes = scale * (np.exp(logarithms) * hot.sum(-1, keepdims=True) - hot)
    loss = {"none": losses, "sum": losses.sum(), "mean": losses.sum() / total}[reduction]
    return loss, slopes, total


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_and_its_gradient(shape, dtype, weighted, smoothing, reduction):
    x, target, weight = setting(shape, dtype, weighted)
    axis = 1 if len(shape) > 1 else 0
    grad = np.asarray(draw(3, target.shape if reduction == "none" else (), dtype))
    limit = 1e-5 if dtype is np.float32 else 1e-12
    options = {"ignore_index": IGNORED, "reduction": reduction, "label_smoothing": smoothing}
    loss, normalizer, total = run("class_cross_entropy", x, target, weight, **options)
    slopes = run("class_cross_entropy_backward", grad, x, normalizer, total, target, weight,
                 **options)
    wanted = exact(np.moveaxis(x, axis, -1), target, weight, grad, reduction, smoothing)
    np.testing.assert_allclose(loss, wanted[0], rtol=limit, atol=limit)
    np.testing.assert_allclose(
        np.moveaxis(slopes, axis, -1), wanted[1], rtol=limit, atol=limit * np.abs(wanted[1]).max())
    np.testing.assert_allclose(total, wanted[2], rtol=limit)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_likelihood_and_its_gradient(reduction):
    x, target, weight = setting((50, 6), np.float32, True)
    weights = np.where(target == IGNORED, 0, weight[target])
    options = {"ignore_index": IGNORED, "reduction": reduction}
    loss, total = run("class_nll", x, target, weight, **options)
    losses = -x[np.arange(50), target] * weights
    np.testing.assert_allclose(
        loss, losses if reduction == "none" else losses.sum() / weights.sum(), rtol=1e-5)
    grad = np.asarray(draw(3, (50,) if reduction == "none" else ()))
    slopes = run("class_nll_backward", grad, total, target, weight, shape=(50, 6), **options)
    scale = grad * weights / (1 if reduction == "none" else weights.sum())
    np.testing.assert_allclose(slopes, -np.eye(6)[target] * scale[:, None], rtol=1e-5)


def test_classes_innermost_in_memory_and_expanded_gradients():
    x, target, _ = setting((2, 5, 3, 4), np.float32, False)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    options = {"ignore_index": -100, "reduction": "none", "label_smoothing": 0.0}
    grad = np.broadcast_to(np.float32(2), target.shape)
    results = []
    for scores in (x, last):
        loss, normalizer, total = run("class_cross_entropy", scores, target, None, **options)
        results.append((loss, run("class_cross_entropy_backward", grad, scores, normalizer, total,
                                  target, None, **options)))
    np.testing.assert_equal(*results)


@pytest.mark.parametrize("wrong", [10, -1])
def test_a_class_that_does_not_exist_is_left_to_numpy(wrong):
    x, target, _ = setting((4, 10), np.float32, False)
    target[2] = wrong
    options = {"ignore_index": IGNORED, "reduction": "mean"}
    assert kernels.fresh["class_nll"][1](x, target, None, **options) is NotImplemented
    with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds"):
        F.cross_entropy(fb.from_numpy(x), fb.from_numpy(target))


def test_extreme_scores():
    x = np.array([[1e30, 0, -1e30], [-np.inf, 0, 1], [200, 200, 200]], np.float32)
    target = np.array([0, 1, 2])
    options = {"ignore_index": IGNORED, "reduction": "none", "label_smoothing": 0.0}
    loss, *_ = run("class_cross_entropy", x, np.array([0, 1, 1]), None, **options)
    np.testing.assert_allclose(loss, [0, np.log(1 + np.e), np.log(3)], rtol=1e-6)
    assert run("class_cross_entropy", x, target, None, **options)[0][2] == 0


def test_results_do_not_depend_on_the_number_of_threads():
    x, target, weight = setting((3000, 301), np.float32, True)
    options = {"ignore_index": IGNORED, "reduction": "mean", "label_smoothing": 0.1}
    before, results = fb.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            fb.set_num_threads(count)
            loss, normalizer, total = run("class_cross_entropy", x, target, weight, **options)
            results.append((loss, normalizer, total, run(
                "class_cross_entropy_backward", np.float32(1).reshape(()), x, normalizer, total,
                target, weight, **options)))
    finally:
        fb.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_equal(results[0], other)
