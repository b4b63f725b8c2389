"""Fused losses against their definitions in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_device import Device, c_backend, opencl_backend
from recorder import GPU, Recorder

from flambeau.backend.generated import Cuda, KernelSource, OpenCL

Array = np.ndarray[Any, Any]
IGNORED = 2
FORWARD = {"ignore_index": IGNORED, "reduction": "mean"}


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def classes(seed: int, count: int, *shape: int) -> Array:
    return np.random.default_rng(seed).integers(0, count, shape)


def reference(
    x: Array, target: Array, weight: Array | None, smoothing: float
) -> tuple[Array, Array, Array]:
    """Losses of the samples, their weights, and probabilities; classes are the last dimension."""
    x = x.astype(np.float64)
    count = x.shape[-1]
    logarithms = x - np.log(np.exp(x).sum(-1, keepdims=True))
    w = np.ones(count) if weight is None else weight.astype(np.float64)
    used = target != IGNORED
    hard = -np.take_along_axis(logarithms, target[..., None], -1)[..., 0] * w[target]
    soft = -(logarithms * w).sum(-1)
    losses = (1 - smoothing) * hard + smoothing / count * soft
    return np.where(used, losses, 0), np.where(used, w[target], 0), np.exp(logarithms)


CASES = [((6, 5), False, 0.0), ((70, 37), True, 0.0), ((70, 37), False, 0.1),
         ((4, 5, 3, 2), True, 0.2), ((5,), False, 0.0), ((3, 2000), False, 0.0)]


@pytest.mark.parametrize(("shape", "weighted", "smoothing"), CASES)
def test_cross_entropy(
    device: Device, shape: tuple[int, ...], weighted: bool, smoothing: float
) -> None:
    axis = 1 if len(shape) > 1 else 0
    x = draw(0, *shape) * 3
    target = classes(1, shape[axis], *shape[:axis], *shape[axis + 1:])
    if not target.ndim:
        target = np.array(0)
    weight = np.abs(draw(2, shape[axis])) + 0.5 if weighted else None
    losses, weights, _ = reference(np.moveaxis(x, axis, -1), target, weight, smoothing)
    loss, normalizer, total = device.run(
        "class_cross_entropy", x, target, weight, label_smoothing=smoothing, **FORWARD)
    np.testing.assert_allclose(loss, losses.sum() / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(
        normalizer, np.log(np.exp(x.astype(np.float64)).sum(axis)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, weights.sum(), rtol=1e-6)
    separate, *_ = device.run(
        "class_cross_entropy", x, target, weight, ignore_index=IGNORED, reduction="none",
        label_smoothing=smoothing)
    np.testing.assert_allclose(separate, losses, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradients_of_cross_entropy(device: Device, reduction: str, smoothing: float) -> None:
    x, target = draw(0, 9, 5, 4), classes(1, 5, 9, 4)
    weight = np.abs(draw(2, 5)) + 0.5
    grad = draw(3, 9, 4) if reduction == "none" else np.array(0.7, np.float32)
    rows = np.moveaxis(x, 1, -1).astype(np.float64)
    _, weights, p = reference(rows, target, weight, smoothing)
    total = weights.sum()
    scale = grad if reduction == "none" else grad / total
    used = target != IGNORED
    hard = (weights * (1 - smoothing) * scale)[..., None] * (p - np.eye(5)[target])
    soft = (used * smoothing / 5 * scale)[..., None] * (p * weight.sum() - weight)
    got = device.run(
        "class_cross_entropy_backward", np.asarray(grad), x,
        np.log(np.exp(x.astype(np.float64)).sum(1)).astype(np.float32),
        np.array(total, np.float32), target, weight, ignore_index=IGNORED, reduction=reduction,
        label_smoothing=smoothing)
    np.testing.assert_allclose(np.moveaxis(got, 1, -1), hard + soft, rtol=1e-4, atol=1e-6)


def test_likelihood_and_its_gradient(device: Device) -> None:
    x, target, weight = draw(0, 50, 6), classes(1, 6, 50), np.abs(draw(2, 6))
    weights = np.where(target != IGNORED, weight[target], 0)
    loss, total = device.run("class_nll", x, target, weight, **FORWARD)
    want = -(x[np.arange(50), target] * weights).sum() / weights.sum()
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    got = device.run("class_nll_backward", np.array(2, np.float32), total, target, weight,
                     shape=(50, 6), **FORWARD)
    np.testing.assert_allclose(
        got, -np.eye(6)[target] * (2 * weights / weights.sum())[:, None], rtol=1e-5)


def test_all_samples_ignored(device: Device) -> None:
    x, target = draw(0, 4, 5), np.full(4, IGNORED)
    loss, normalizer, total = device.run(
        "class_cross_entropy", x, target, None, label_smoothing=0.0, **FORWARD)
    assert np.isnan(loss)
    assert total == 0
    got = device.run("class_cross_entropy_backward", np.array(1, np.float32), x, normalizer, total,
                     target, None, label_smoothing=0.0, **FORWARD)
    np.testing.assert_array_equal(got, 0)


@pytest.mark.parametrize("wrong", [5, -1, 2**40])
def test_a_class_that_does_not_exist(device: Device, wrong: int) -> None:
    x, target = draw(0, 4, 5), np.array([0, 1, wrong, 2])
    with pytest.raises(IndexError, match=r"^Target -?\d+ is out of bounds\.$"):
        device.run("class_cross_entropy", x, target, None, label_smoothing=0.0, **FORWARD)
        device.backend.synchronize(0)
    with pytest.raises(IndexError, match=f"Target {wrong}" if abs(wrong) < 9 else "Target"):
        device.run("class_nll", x, target, None, **FORWARD)
        device.backend.synchronize(0)
    device.run("class_nll", x, np.zeros(4, np.int64), None, **FORWARD)  # forgotten by now


# ---- differences ---------------------------------------------------------------------------------
FORMS = {
    "square": (lambda d: d * d, lambda d: 2 * d),
    "absolute": (abs, np.sign),
    "smooth": (lambda d: np.where(abs(d) < 0.7, d * d * 0.5 / 0.7, abs(d) - 0.35),
               lambda d: np.clip(d / 0.7, -1, 1)),
    "huber": (lambda d: np.where(abs(d) < 0.7, d * d * 0.5, 0.7 * (abs(d) - 0.35)),
              lambda d: np.clip(d, -0.7, 0.7)),
}


@pytest.mark.parametrize("form", FORMS)
def test_losses_of_differences(device: Device, form: str) -> None:
    value, slope = FORMS[form]
    x, y = draw(0, 30, 37), draw(1, 37, 30).T
    d = x.astype(np.float64) - y
    settings = {"form": form, "beta": 0.7}
    for reduction, want in (("sum", value(d).sum()), ("mean", value(d).mean()), ("none", value(d))):
        got = device.run("difference_loss", x, y, reduction=reduction, **settings)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    got = device.run("difference_loss_backward", np.array(3, np.float32), x, y, reduction="mean",
                     **settings)
    np.testing.assert_allclose(got, 3 * slope(d) / d.size, rtol=1e-4, atol=1e-7)


def test_a_large_sum_is_spread(device: Device) -> None:
    x, y = draw(0, 512, 256), draw(1, 512, 256)
    got = device.run("difference_loss", x, y, form="square", beta=1.0, reduction="mean")
    np.testing.assert_allclose(got, ((x.astype(np.float64) - y) ** 2).mean(), rtol=1e-6)


def test_logits(device: Device) -> None:
    x, y = draw(0, 30, 7) * 20, np.random.default_rng(1).random((30, 7)).astype(np.float32)
    x64 = x.astype(np.float64)
    want = np.maximum(x64, 0) - x64 * y + np.log1p(np.exp(-abs(x64)))
    for reduction, value in (("mean", want.mean()), ("none", want)):
        got = device.run("logit_loss", x, y, None, None, reduction=reduction)
        np.testing.assert_allclose(got, value, rtol=2e-5, atol=1e-5)


# ---- counted, broken -----------------------------------------------------------------------------
def test_how_many_kernels_are_launched() -> None:
    backend = Recorder("rec", Cuda(), GPU)
    device = Device(backend)
    device.native("class_cross_entropy", draw(0, 64, 10), classes(1, 10, 64), None,
                  label_smoothing=0.0, **FORWARD)
    assert backend.launches == 2
    device.native("difference_loss", draw(0, 64, 10), draw(1, 64, 10), form="square", beta=1.0,
                  reduction="mean")
    assert backend.launches == 3


class WithoutBarriers(OpenCL):
    """What a kernel is without its barriers."""

    def barrier(self) -> str:
        return ";"


def check_total(device: Device) -> None:
    """The check that mutants must fail: a sum over samples that fill no vector."""
    x, target = draw(0, 301, 6), classes(1, 6, 301)
    losses, weights, _ = reference(x, target, None, 0.0)
    loss, _, total = device.run(
        "class_cross_entropy", x, target, None, label_smoothing=0.0, **FORWARD)
    np.testing.assert_allclose(loss, losses.sum() / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(total, weights.sum(), rtol=1e-6)


def test_cross_entropy_finds_a_missing_barrier() -> None:
    check_total(Device(opencl_backend(32)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_total(Device(opencl_backend(32, WithoutBarriers())))


def test_cross_entropy_finds_a_dropped_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = c_backend()
    compiled = type(backend).compile

    def without_tail(self: Any, source: KernelSource, index: int) -> Any:
        text = source.text
        if source.name.endswith("_total"):
            text = text.replace("k_2 < stop_", "k_2 < whole_")
            assert text != source.text
        return compiled(self, KernelSource(
            source.name, text, source.parameters, source.group_size), index)

    check_total(Device(backend))
    monkeypatch.setattr(type(backend), "compile", without_tail)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_total(Device(type(backend)()))
