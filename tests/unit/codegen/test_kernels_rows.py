"""Fused kernels over rows: softmax on every kind of device, and what breaks them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, c_backend, opencl_backend
from recorder import GPU, Recorder

from flambeau.backend.generated import C, Cuda, KernelSource, OpenCL, Traits
from flambeau.codegen.kernels.rows import Rows

Array = np.ndarray[Any, Any]
SHAPES = [(3, 4), (5, 70, 37), (1, 2500), (130, 1), (7,)]


def softmax(x: Array, dim: int) -> Array:
    e = np.exp(x - x.max(dim, keepdims=True))
    result: Array = e / e.sum(dim, keepdims=True)
    return result


def inputs(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 3


# ---- values --------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(device: Device, shape: tuple[int, ...]) -> None:
    x = inputs(*shape)
    for dim in range(-1, x.ndim - 1):
        want = softmax(x.astype(np.float64), dim)
        np.testing.assert_allclose(device.run("softmax_along", x, dim=dim), want, rtol=2e-6)
        np.testing.assert_allclose(
            device.run("log_softmax_along", x, dim=dim), np.log(want), rtol=2e-6, atol=2e-6)


def test_softmax_of_any_strides(device: Device) -> None:
    x = inputs(6, 5, 8)
    for view in (x.transpose(2, 0, 1), x[1::2, :, 3:], np.broadcast_to(x[:, :1], (6, 4, 8))):
        want = softmax(view.astype(np.float64), 1)
        np.testing.assert_allclose(device.run("softmax_along", view, dim=1), want, rtol=2e-6)


def test_softmax_keeps_the_memory_order_of_its_input(c_device: Device) -> None:
    native = c_device.native("softmax_along", inputs(3, 4, 5).transpose(2, 0, 1), dim=0)
    assert native.layout.strides == (1, 20, 5)


def test_softmax_gradients(device: Device) -> None:
    y = softmax(inputs(9, 33), 1)
    g = inputs(9, 33, seed=1)
    np.testing.assert_allclose(
        device.run("softmax_backward", g, y, dim=1),
        g * y - y * (g * y).sum(1, keepdims=True), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        device.run("log_softmax_backward", g, np.log(y), dim=1),
        g - y * g.sum(1, keepdims=True), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("what", [np.float16, np.float64])
def test_softmax_in_other_precisions(device: Device, what: Any) -> None:
    x = inputs(5, 40).astype(what)
    want = softmax(x.astype(np.float64), 1)
    got = device.run("softmax_along", x, dim=1)
    assert got.dtype == what
    np.testing.assert_allclose(got, want, rtol=1e-3 if what is np.float16 else 1e-14, atol=1e-7)


def test_softmax_of_infinities_and_nan(device: Device) -> None:
    x = np.array([[0, -np.inf, 1], [np.nan, 0, 0], [-np.inf] * 3], np.float32)
    got = device.run("softmax_along", x, dim=1)
    np.testing.assert_allclose(got[0], [0.26894143, 0, 0.73105854], rtol=1e-6)
    assert np.isnan(got[1:]).all()


def test_softmax_declines_what_it_does_not_know(c_device: Device) -> None:
    for x, dim in ((inputs(3, 4).astype(np.int64), 0), (inputs(3, 4), 2), (inputs(0, 4), 0),
                   (inputs(3, 4), 0.5)):
        assert c_device.native("softmax_along", x, dim=dim) is NotImplemented


def test_sums_are_as_accurate_as_pairwise_ones(device: Device) -> None:
    x = np.log(np.full((1, 100_000, 3), 0.1, np.float32))
    for view in (x, x.transpose(0, 2, 1).copy().transpose(0, 2, 1)):
        got = device.run("log_softmax_along", view, dim=1)
        np.testing.assert_allclose(got, -np.log(100_000), rtol=1e-6)


# ---- texts ---------------------------------------------------------------------------------------
def test_each_device_has_its_own_shape() -> None:
    x = inputs(64, 1000)
    for dialect, lanes, words in (
        (C(), 1, "unroll=16"), (OpenCL(), 1, "unroll=16"), (Cuda(), 32, "lanes=32")):
        (spec,) = specs(Recorder("rec", dialect, traits(dialect, lanes)), x, 1)
        assert words in repr(spec)
    (spec,) = specs(Recorder("rec", C(), traits(C(), 1)), x, 0)
    assert spec.tile == 64
    (spec,) = specs(Recorder("rec", Cuda(), traits(Cuda(), 32)), x, 0)
    assert (spec.rows_inner, spec.lanes, spec.rows_per_group) == (True, 8, 8)


def traits(dialect: Any, lanes: int) -> Traits:
    return Traits(group_size=64 if dialect.has_groups else 1, lanes=lanes, units=100)


def specs(backend: Recorder, x: Array, dim: int) -> list[Rows]:
    Device(backend).native("softmax_along", x, dim=dim)
    return [spec for _, spec in backend._programs]


def test_few_columns_leave_room_for_several_rows_in_a_group() -> None:
    (spec,) = specs(Recorder("rec", Cuda(), traits(Cuda(), 32)), inputs(64, 5), 1)
    assert (spec.lanes, spec.rows_per_group) == (8, 8)


def test_a_plan_is_made_once() -> None:
    device = Device(Recorder("rec", Cuda(), GPU))
    x = device.put(inputs(64, 5))
    for _ in range(3):
        device.backend.kernels.fresh["softmax_along"](x, dim=1)
    assert isinstance(device.backend, Recorder)
    assert (len(device.backend.sources), device.backend.launches) == (1, 3)


# ---- mutants -------------------------------------------------------------------------------------
class WithoutBarriers(OpenCL):
    """What a kernel is without its barriers."""

    def barrier(self) -> str:
        return ";"


def check_softmax(device: Device) -> None:
    """The check that mutants must fail: many rows, and columns that fill no vector."""
    x = inputs(300, 37)
    np.testing.assert_allclose(
        device.run("softmax_along", x, dim=1), softmax(x.astype(np.float64), 1), rtol=2e-6)


def test_softmax_finds_a_missing_barrier() -> None:
    check_softmax(Device(opencl_backend(32)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_softmax(Device(opencl_backend(32, WithoutBarriers())))


def test_softmax_finds_a_dropped_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = c_backend()
    compiled = type(backend).compile

    def without_tail(self: Any, source: KernelSource, index: int) -> Any:
        text, count = re.subn(
            r"(= (whole_\w*); \w+ < )stop_\w*", r"\1\2", source.text)
        assert count == 2
        return compiled(self, KernelSource(
            source.name, text, source.parameters, source.group_size), index)

    check_softmax(Device(backend))
    monkeypatch.setattr(type(backend), "compile", without_tail)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_softmax(Device(type(backend)()))
