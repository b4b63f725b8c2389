"""Fused normalisations against their definitions in double precision."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, c_backend, opencl_backend
from recorder import GPU, Recorder

from flambeau.backend.generated import Cuda, KernelSource, OpenCL

Array = np.ndarray[Any, Any]
EPS = 1e-5
CLOSE = {"rtol": 2e-5, "atol": 2e-5}


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def moments(x: Array, dims: tuple[int, ...]) -> tuple[Array, Array]:
    """Mean and reciprocal standard deviation."""
    return x.mean(dims, keepdims=True), 1 / np.sqrt(x.var(dims, keepdims=True) + EPS)


def back(gx: Array, xhat: Array, rstd: Array, dims: tuple[int, ...]) -> Array:
    """The gradient of ``(x - mean) * rstd``."""
    along = (gx * xhat).mean(dims, keepdims=True)
    result: Array = rstd * (gx - gx.mean(dims, keepdims=True) - xhat * along)
    return result


def wide(*arrays: Array) -> list[Array]:
    return [a.astype(np.float64) for a in arrays]


# ---- layer norm ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("lead", "shape"), [((3,), (5,)), ((), (70,)), ((130, 2), (3, 43))])
def test_layer_norm(device: Device, lead: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x, w, b = draw(0, *lead, *shape) * 2 + 30, draw(1, *shape), draw(2, *shape)
    dims = tuple(range(len(lead), len(lead) + len(shape)))
    mean, rstd = moments(x.astype(np.float64), dims)
    for weight, bias in ((w, b), (w, None), (None, None)):
        want = (x - mean) * rstd
        want = want if weight is None else want * weight
        want = want if bias is None else want + bias
        out, got_mean, got_rstd = device.run(
            "native_layer_norm", x, weight, bias, normalized_shape=shape, eps=EPS)
        np.testing.assert_allclose(out, want, rtol=1e-4, atol=5e-5)
        np.testing.assert_allclose(got_mean, mean, rtol=1e-6)
        np.testing.assert_allclose(got_rstd, rstd, rtol=1e-5)


@pytest.mark.parametrize("rows", [3, 300])
def test_layer_norm_gradients(device: Device, rows: int) -> None:
    g, x, w = draw(0, rows, 37), draw(1, 37, rows).T, draw(2, 37)
    g64, x64, w64 = wide(g, x, w)
    mean, rstd = moments(x64, (1,))
    xhat = (x64 - mean) * rstd
    given = (g, x, mean.astype(np.float32), rstd.astype(np.float32), w)
    dx, dw, db = device.run("layer_norm_grads", *given, count=1, eps=EPS, for_input=True,
                            for_weight=True, for_bias=True)
    np.testing.assert_allclose(dx, back(g64 * w64, xhat, rstd, (1,)), **CLOSE)
    np.testing.assert_allclose(dw, (g64 * xhat).sum(0), rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(db, g64.sum(0), rtol=1e-4, atol=2e-5)
    only = device.run("layer_norm_grads", *given, count=1, eps=EPS, for_input=False,
                      for_weight=False, for_bias=True)
    assert only[:2] == (None, None)
    np.testing.assert_allclose(only[2], db, rtol=1e-5)


def test_half_precision_takes_its_statistics_again(device: Device) -> None:
    x = (draw(0, 4, 50) + 100).astype(np.float16)
    g = draw(1, 4, 50).astype(np.float16)
    mean, rstd = moments(x.astype(np.float64), (1,))
    xhat = (x - mean) * rstd
    dx, dw, _ = device.run(
        "layer_norm_grads", g, x, mean.astype(np.float16), rstd.astype(np.float16), None, count=1,
        eps=EPS, for_input=True, for_weight=True, for_bias=False)
    assert dx.dtype == np.float32  # as by decomposition
    np.testing.assert_allclose(dx, back(g.astype(np.float64), xhat, rstd, (1,)), **CLOSE)
    np.testing.assert_allclose(dw, (g.astype(np.float64) * xhat).sum(0), **CLOSE)


def test_rms_norm(device: Device) -> None:
    x, w, g = draw(0, 9, 65), draw(1, 65), draw(2, 9, 65)
    x64, w64, g64 = wide(x, w, g)
    scale = 1 / np.sqrt((x64 * x64).mean(1, keepdims=True) + EPS)
    out = device.run("rms_norm", x, w, normalized_shape=(65,), eps=EPS)
    np.testing.assert_allclose(out, x64 * scale * w64, **CLOSE)
    dx, dw = device.run("rms_norm_grads", g, x, w, count=1, eps=EPS, for_input=True,
                        for_weight=True)
    gx, xhat = g64 * w64, x64 * scale
    want = scale * (gx - xhat * (gx * xhat).mean(1, keepdims=True))
    np.testing.assert_allclose(dx, want, **CLOSE)
    np.testing.assert_allclose(dw, (g64 * xhat).sum(0), **CLOSE)


# ---- group norm ----------------------------------------------------------------------------------
@pytest.mark.parametrize("groups", [1, 3, 6])
def test_group_norm(device: Device, groups: int) -> None:
    x, w, b, g = draw(0, 4, 6, 5, 3), draw(1, 6), draw(2, 6), draw(3, 4, 6, 5, 3)
    x64, w64, b64, g64 = wide(x, w, b, g)
    rows = x64.reshape(4, groups, -1)
    mean, rstd = moments(rows, (2,))
    xhat = (rows - mean) * rstd
    per = (slice(None), None, None)
    out, got_mean, got_rstd = device.run("group_norm_stats", x, w, b, num_groups=groups, eps=EPS)
    np.testing.assert_allclose(out, xhat.reshape(x.shape) * w64[per] + b64[per], **CLOSE)
    np.testing.assert_allclose(got_mean, mean[..., 0], rtol=1e-4, atol=1e-6)
    dx, dw, db = device.run(
        "group_norm_grads", g, x, got_mean, got_rstd, w, num_groups=groups, eps=EPS,
        for_input=True, for_weight=True, for_bias=True)
    want = back((g64 * w64[per]).reshape(rows.shape), xhat, rstd, (2,)).reshape(x.shape)
    np.testing.assert_allclose(dx, want, **CLOSE)
    np.testing.assert_allclose(dw, (g64 * xhat.reshape(x.shape)).sum((0, 2, 3)), **CLOSE)
    np.testing.assert_allclose(db, g64.sum((0, 2, 3)), **CLOSE)


# ---- batch norm ----------------------------------------------------------------------------------
def images(seed: int, layout: str) -> Array:
    if layout == "vectors":
        return draw(seed, 90, 7)
    x = draw(seed, 4, 7, 6, 5)
    return x if layout == "planes" else np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)


@pytest.mark.parametrize("layout", ["planes", "channels_last", "vectors"])
def test_batch_norm(device: Device, layout: str) -> None:
    x, g = images(0, layout), images(1, layout)
    w, b = draw(2, 7), draw(3, 7)
    x64, g64 = wide(x, g)
    dims = (0, *range(2, x.ndim))
    per = (slice(None), *(None,) * (x.ndim - 2))
    mean, rstd = moments(x64, dims)
    xhat = (x64 - mean) * rstd
    out, got_mean, got_var = device.run("batch_norm_train", x, w, b, eps=EPS)
    np.testing.assert_allclose(out, xhat * w[per] + b[per], **CLOSE)
    np.testing.assert_allclose(got_mean, mean.reshape(-1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got_var, x64.var(dims), rtol=1e-5)
    every = {"for_input": True, "for_weight": True, "for_bias": True}
    dx, dw, db = device.run(
        "batch_norm_grads", g, x, got_mean, got_var, w, eps=EPS, training=True, **every)
    np.testing.assert_allclose(dx, back(g64, xhat, rstd, dims) * w[per], **CLOSE)
    np.testing.assert_allclose(dw, (g64 * xhat).sum(dims), rtol=1e-4, atol=5e-5)
    np.testing.assert_allclose(db, g64.sum(dims), rtol=1e-4, atol=5e-5)
    out = device.run("batch_norm_eval", x, w, b, got_mean, got_var, eps=EPS)
    np.testing.assert_allclose(out, xhat * w[per] + b[per], **CLOSE)
    dx, _, _ = device.run(
        "batch_norm_grads", g, x, got_mean, got_var, w, eps=EPS, training=False, **every)
    np.testing.assert_allclose(dx, g64 * rstd * w[per], **CLOSE)


def test_batch_norm_keeps_channels_last(c_device: Device) -> None:
    native, *_ = c_device.native("batch_norm_train", images(0, "channels_last"), None, None,
                                 eps=EPS)
    assert native.layout.strides == (210, 1, 35, 7)


def test_statistics_of_a_large_mean(device: Device) -> None:
    """Two passes: the mean is taken off before squares are summed."""
    x = (draw(0, 2, 3, 4000) + 3000).astype(np.float32)
    _, _, var = device.run("batch_norm_train", x, None, None, eps=EPS)
    np.testing.assert_allclose(var, x.astype(np.float64).var((0, 2)), rtol=1e-4)


# ---- declined, counted ---------------------------------------------------------------------------
def test_what_does_not_fit_is_declined(c_device: Device) -> None:
    x, whole = draw(0, 3, 4), np.arange(12).reshape(3, 4)
    for shape, given, weight in (
        ((5,), x, None), ((), x, None), ((4,), whole, None), ((4,), x, draw(0, 3)),
        ((4,), x, draw(0, 4).astype(np.float64)), ((4,), x[:0], None)):
        assert c_device.native("native_layer_norm", given, weight, None, normalized_shape=shape,
                               eps=EPS) is NotImplemented
    assert c_device.native(
        "group_norm_stats", x, None, None, num_groups=3, eps=EPS) is NotImplemented
    assert c_device.native("batch_norm_train", x, draw(0, 3), None, eps=EPS) is NotImplemented


def test_how_many_kernels_are_launched() -> None:
    backend = Recorder("rec", Cuda(), GPU)
    device = Device(backend)
    x, w = draw(0, 8, 6, 4), draw(1, 6)
    device.native("batch_norm_train", x, w, w, eps=EPS)
    assert backend.launches == 1
    device.native("batch_norm_grads", x, x, w, w, w, eps=EPS, training=True, for_input=True,
                  for_weight=True, for_bias=True)
    assert backend.launches == 2
    stats = draw(2, 8, 1, 1)
    device.native("layer_norm_grads", x, x, stats, stats, draw(3, 6, 4), count=2, eps=EPS,
                  for_input=True, for_weight=True, for_bias=True)
    assert backend.launches == 4


# ---- mutants -------------------------------------------------------------------------------------
class WithoutBarriers(OpenCL):
    """What a kernel is without its barriers."""

    def barrier(self) -> str:
        return ";"


def check_sums(device: Device) -> None:
    """The check that mutants must fail: sums over rows that fill no tile of them."""
    g, x = draw(0, 50, 75), draw(1, 50, 75)
    mean, rstd = moments(x.astype(np.float64), (1,))
    _, dw, _ = device.run(
        "layer_norm_grads", g, x, mean.astype(np.float32), rstd.astype(np.float32), None, count=1,
        eps=EPS, for_input=False, for_weight=True, for_bias=False)
    np.testing.assert_allclose(dw, (g * ((x - mean) * rstd)).sum(0), rtol=1e-4, atol=1e-5)


def test_gradient_sums_find_a_missing_barrier() -> None:
    check_sums(Device(opencl_backend(32)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_sums(Device(opencl_backend(32, WithoutBarriers())))


def test_gradient_sums_find_a_dropped_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = c_backend()
    compiled = type(backend).compile

    def without_tail(self: Any, source: KernelSource, index: int) -> Any:
        text, count = re.subn(r"(live_ = )\(64 < ([^?]*) \? .*\)",
                              r"\1(64 < \2 ? 64 : 0)", source.text)
        assert count == 1
        return compiled(self, KernelSource(
            source.name, text, source.parameters, source.group_size), index)

    check_sums(Device(backend))
    monkeypatch.setattr(type(backend), "compile", without_tail)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_sums(Device(type(backend)()))
