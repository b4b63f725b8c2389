"""Fused steps of optimizers against their definitions in double precision."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, c_backend
from recorder import GPU, Recorder

from flambeau.backend.generated import Cuda, KernelSource

Array = np.ndarray[Any, Any]
Arrays = list[Array]
SHAPES = [(3, 4), (70,), (), (5, 2, 3), (257,)]


def draw(seed: int, positive: bool = False) -> Arrays:
    """One tensor per parameter, the last but one turned."""
    rng = np.random.default_rng(seed)
    made = [np.asarray(rng.normal(size=s), np.float32) for s in SHAPES]
    made[3] = made[3].T.copy().T
    return [np.asarray(abs(a) + np.float32(0.1)) for a in made] if positive else made


def wide(arrays: Arrays) -> Arrays:
    return [a.astype(np.float64) for a in arrays]


def check(got: Any, *want: Arrays) -> None:
    flat = [a for arrays in want for a in arrays]
    assert len(got) == len(flat)
    for a, b in zip(got, flat, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# ---- the steps -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("momentum", "decay", "nesterov", "maximize"),
    [(0, 0, False, False), (0, 0.5, False, True), (0.9, 0, False, False), (0.9, 0.1, True, False)])
def test_sgd(
    device: Device, momentum: float, decay: float, nesterov: bool, maximize: bool
) -> None:
    p, g, m = draw(0), draw(1), draw(2) if momentum else []
    got = device.run(
        "sgd_step_", p, g, m, lr=0.1, momentum=momentum, dampening=0.3, weight_decay=decay,
        nesterov=nesterov, maximize=maximize)
    p64, g64, m64 = wide(p), wide(g), wide(m)
    for i, (param, grad) in enumerate(zip(p64, g64, strict=True)):
        grad = (-grad if maximize else grad) + decay * param
        if momentum:
            m64[i] = momentum * m64[i] + 0.7 * grad
            grad = grad + momentum * m64[i] if nesterov else m64[i]
        p64[i] = param - 0.1 * grad
    check(got, p64, m64)


@pytest.mark.parametrize(("decay", "decoupled", "greatest"), [
    (0, False, False), (0.1, False, False), (0.1, True, False), (0.1, True, True)])
def test_adam(device: Device, decay: float, decoupled: bool, greatest: bool) -> None:
    p, g, mean, square = draw(0), draw(1), draw(2), draw(3, True)
    most = draw(4, True) if greatest else []
    steps = [1.0, 1.0, 7.0, 7.0, 1.0]
    got = device.run(
        "adam_step_", p, g, mean, square, most, steps=steps, lr=0.1, beta1=0.9, beta2=0.99,
        eps=1e-3, weight_decay=decay, maximize=False, decoupled=decoupled)
    p64, g64, mean64, square64, most64 = map(wide, (p, g, mean, square, most))
    for i, (param, grad) in enumerate(zip(p64, g64, strict=True)):
        if decoupled:
            param = param * (1 - 0.1 * decay)
        else:
            grad = grad + decay * param
        mean64[i] = 0.9 * mean64[i] + 0.1 * grad
        square64[i] = 0.99 * square64[i] + 0.01 * grad * grad
        used = square64[i]
        if greatest:
            used = most64[i] = np.maximum(most64[i], square64[i])
        spread = np.sqrt(used) / np.sqrt(1 - 0.99 ** steps[i]) + 1e-3
        p64[i] = param - 0.1 / (1 - 0.9 ** steps[i]) * mean64[i] / spread
    check(got, p64, mean64, square64, most64)


def test_steps_write_in_place(c_device: Device) -> None:
    p = c_device.put(draw(0))
    g = c_device.put(draw(1))
    got = c_device.backend.kernels.fresh["sgd_step_"](
        p, g, [], lr=0.5, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False)
    assert all(a is b for a, b in zip(got, p, strict=True))
    check(c_device.get(tuple(p)), [a - 0.5 * b for a, b in zip(draw(0), draw(1), strict=True)])


def test_adding_a_number(device: Device) -> None:
    check(device.run("foreach_add_", draw(0), value=2.5), [a + 2.5 for a in draw(0)])


def test_what_does_not_fit_is_declined(c_device: Device) -> None:
    settings = {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False,
                "maximize": False}
    one, two = [np.zeros(3, np.float32)], [np.zeros(4, np.float32)]
    for p, g, lr in ((one, two, 0.1), (one, [], 0.1), (one, one, np.zeros(1)),
                     ([np.zeros(3, np.int64)], one, 0.1)):
        assert c_device.native("sgd_step_", p, g, [], lr=lr, **settings) is NotImplemented


# ---- counted -------------------------------------------------------------------------------------
def test_how_many_kernels_are_launched() -> None:
    backend = Recorder("rec", Cuda(), GPU)
    device = Device(backend)
    lists = [device.put([np.zeros(n, np.float32) for n in range(1, 29)]) for _ in range(4)]
    for step in (1.0, 2.0):
        backend.kernels.fresh["adam_step_"](
            *lists, [], steps=[step] * 28, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-3,
            weight_decay=0, maximize=False, decoupled=False)
    assert backend.launches == 2 * LAUNCHES
    assert len(backend.sources) <= 2


LAUNCHES = 4
"""For 28 parameters on a device with groups."""


# ---- mutants -------------------------------------------------------------------------------------
def test_steps_find_a_dropped_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last element of a parameter is left out."""
    backend = c_backend()
    compiled = type(backend).compile

    def without_last(self: Any, source: KernelSource, index: int) -> Any:
        text, count = re.subn("fb_item < fb_last", "fb_item < fb_last - 1", source.text)
        assert count == 1
        return compiled(self, KernelSource(
            source.name, text, source.parameters, source.group_size), index)

    def run(device: Device) -> None:
        check(device.run("foreach_add_", draw(0), value=2.5), [a + 2.5 for a in draw(0)])

    run(Device(backend))
    monkeypatch.setattr(type(backend), "compile", without_last)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        run(Device(type(backend)()))


def test_every_setting_has_its_own_kernel() -> None:
    """A step with weight decay must not run as one without."""
    backend = Recorder("rec", Cuda(), GPU)
    device = Device(backend)
    lists = [device.put([np.zeros(3, np.float32)]) for _ in range(3)]
    for decay, nesterov, maximize in itertools.product((0, 0.1), (False, True), (False, True)):
        backend.kernels.fresh["sgd_step_"](
            *lists, lr=0.1, momentum=0.9, dampening=0, weight_decay=decay, nesterov=nesterov,
            maximize=maximize)
    assert len(backend.sources) == 8
