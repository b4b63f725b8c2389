"""Fused recurrent cells and sequences against their definitions in double precision."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, c_backend
from recorder import GPU, Recorder

from flambeau.backend.generated import Cuda, KernelSource

Array = np.ndarray[Any, Any]
CLOSE = {"rtol": 3e-5, "atol": 3e-6}
SIZES = [(3, 3, 3), (4, 2, 2, 1), (1,)]
"""Even and packed sequences, and a single step."""


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def logistic(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


def lstm_cell(pre: Array, cell: Array) -> tuple[Array, Array, Array]:
    """Hidden state, cell state, activated gates."""
    i, f, g, o = np.split(pre.astype(np.float64), 4, 1)
    i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
    after = f * cell + i * g
    return o * np.tanh(after), after, np.concatenate([i, f, g, o], 1)


def gru_cell(x: Array, h: Array, state: Array) -> tuple[Array, Array]:
    """Hidden state; gates, and the recurrent part of the last one."""
    xr, xz, xn = np.split(x.astype(np.float64), 3, 1)
    hr, hz, hn = np.split(h.astype(np.float64), 3, 1)
    r, z = logistic(xr + hr), logistic(xz + hz)
    n = np.tanh(xn + r * hn)
    return n + z * (state - n), np.concatenate([r, z, n, hn], 1)


def slopes(function: Any, arrays: list[Array], at: int, grad: Any) -> Array:
    """The gradient of a function's result for one of its arrays, by central differences."""
    wide = [a.astype(np.float64) for a in arrays]
    result = np.zeros(arrays[at].shape)
    for place in np.ndindex(*result.shape):
        values = []
        for step in (1e-6, -1e-6):
            moved = wide[at].copy()
            moved[place] += step
            outs = function(*wide[:at], moved, *wide[at + 1:])
            values.append(sum((o * g).sum() for o, g in zip(outs, grad, strict=True)))
        result[place] = (values[0] - values[1]) / 2e-6
    return result


# ---- cells ---------------------------------------------------------------------------------------
def test_lstm_cell(device: Device) -> None:
    x, h, c = draw(0, 12, 7).T, draw(1, 7, 12), draw(2, 7, 3)
    for got, want in zip(device.run("lstm_pointwise", x, h, c), lstm_cell(x + h, c), strict=True):
        np.testing.assert_allclose(got, want, **CLOSE)


@pytest.mark.parametrize("given", ["both", "hidden", "cell"])
def test_lstm_cell_gradients(device: Device, given: str) -> None:
    pre, c = draw(0, 3, 8), draw(1, 3, 2)
    gh = draw(2, 3, 2) if given != "cell" else None
    gc = draw(3, 3, 2) if given != "hidden" else None
    _, after, acts = lstm_cell(pre, c)
    got = device.run("lstm_pointwise_grads", acts.astype(np.float32), c, after.astype(np.float32),
                     gh, gc)
    grads = [0 if g is None else g for g in (gh, gc)]
    for at in (0, 1):
        want = slopes(lambda *a: lstm_cell(*a)[:2], [pre, c], at, grads)
        np.testing.assert_allclose(got[at], want, rtol=1e-4, atol=1e-5)


def test_gru_cell(device: Device) -> None:
    x, h, state = draw(0, 5, 9), draw(1, 9, 5).T, draw(2, 5, 3)
    for got, want in zip(
            device.run("gru_pointwise", x, h, state), gru_cell(x, h, state), strict=True):
        np.testing.assert_allclose(got, want, **CLOSE)


def test_gru_cell_gradients(device: Device) -> None:
    x, h, state, g = draw(0, 3, 6), draw(1, 3, 6), draw(2, 3, 2), draw(3, 3, 2)
    acts = gru_cell(x, h, state)[1].astype(np.float32)
    got = device.run("gru_pointwise_grads", acts, state, g)
    for at in range(3):
        want = slopes(lambda *a: gru_cell(*a)[:1], [x, h, state], at, [g])
        np.testing.assert_allclose(got[at], want, rtol=1e-4, atol=1e-5)


# ---- sequences -----------------------------------------------------------------------------------
def walk(cell: Any, sizes: tuple[int, ...], reverse: bool, states: list[Array]) -> list[Array]:
    """Run ``cell(rows, states) -> states`` over a packed sequence: outputs and last states."""
    states = [s.astype(np.float64) for s in states]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    out = np.empty((sum(sizes), states[0].shape[1]))
    for t in range(len(sizes))[::-1 if reverse else 1]:
        rows, count = slice(starts[t], starts[t + 1]), sizes[t]
        for s, new in zip(states, cell(rows, [s[:count] for s in states]), strict=True):
            s[:count] = new
        out[rows] = states[0][:count]
    return [out, *states]


def lstm(sizes: tuple[int, ...], reverse: bool) -> Any:
    def run(gates: Array, h: Array, c: Array, w: Array) -> list[Array]:
        return walk(lambda rows, s: lstm_cell(gates[rows] + s[0] @ w.T, s[1])[:2], sizes, reverse,
                    [h, c])

    return run


def gru(sizes: tuple[int, ...], reverse: bool) -> Any:
    def run(gates: Array, h: Array, w: Array, b: Array | float = 0.0) -> list[Array]:
        return walk(lambda rows, s: gru_cell(gates[rows], s[0] @ w.T + b, s[0])[:1], sizes,
                    reverse, [h])

    return run


def rnn(sizes: tuple[int, ...], reverse: bool, rectified: bool) -> Any:
    act = (lambda x: np.maximum(x, 0)) if rectified else np.tanh

    def run(gates: Array, h: Array, w: Array) -> list[Array]:
        return walk(lambda rows, s: [act(gates[rows] + s[0] @ w.T)], sizes, reverse, [h])

    return run


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_lstm_sequence(device: Device, sizes: tuple[int, ...], reverse: bool) -> None:
    n, total = sizes[0], sum(sizes)
    arrays = [draw(0, total, 8), draw(1, n, 2), draw(2, n, 2), draw(3, 8, 2)]
    settings = {"batch_sizes": sizes, "reverse": reverse}
    *results, acts, cells = device.run("lstm_sequence", *arrays, None, **settings)
    for got, want in zip(results, lstm(sizes, reverse)(*arrays), strict=True):
        np.testing.assert_allclose(got, want, **CLOSE)
    if reverse and len(set(sizes)) > 1:
        return  # the gradients of these are left to the decomposition
    grads = [draw(4, total, 2), draw(5, n, 2), draw(6, n, 2)]
    got = device.run("lstm_sequence_grads", *arrays, None, results[0], acts, cells, *grads,
                     **settings)
    for at in range(4):
        want = slopes(lstm(sizes, reverse), arrays, at, grads)
        np.testing.assert_allclose(got[at], want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("has_bias", [False, True])
def test_gru_sequence(
    device: Device, sizes: tuple[int, ...], reverse: bool, has_bias: bool
) -> None:
    n, total = sizes[0], sum(sizes)
    arrays = [draw(0, total, 6), draw(1, n, 2), draw(2, 6, 2), *([draw(3, 6)] * has_bias)]
    bias = [] if has_bias else [None]
    settings = {"batch_sizes": sizes, "reverse": reverse}
    *results, acts = device.run("gru_sequence", *arrays, *bias, **settings)
    for got, want in zip(results, gru(sizes, reverse)(*arrays), strict=True):
        np.testing.assert_allclose(got, want, **CLOSE)
    if reverse and len(set(sizes)) > 1:
        return
    grads = [draw(4, total, 2), None]
    got = device.run("gru_sequence_grads", *arrays, *bias, results[0], acts, *grads, **settings)
    for at in range(len(arrays)):
        want = slopes(gru(sizes, reverse), arrays, at, [grads[0], 0])
        np.testing.assert_allclose(got[at], want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rectified", [False, True])
def test_rnn_sequence(device: Device, reverse: bool, rectified: bool) -> None:
    sizes = (3, 3)
    arrays = [draw(0, 6, 2), draw(1, 3, 2), draw(2, 2, 2)]
    settings = {"batch_sizes": sizes, "reverse": reverse, "rectified": rectified}
    results = device.run("rnn_sequence", *arrays, **settings)
    function = rnn(sizes, reverse, rectified)
    for got, want in zip(results, function(*arrays), strict=True):
        np.testing.assert_allclose(got, want, **CLOSE)
    grads = [draw(4, 6, 2), draw(5, 3, 2)]
    got = device.run("rnn_sequence_grads", *arrays, results[0], *grads, **settings)
    for at in range(3):
        np.testing.assert_allclose(
            got[at], slopes(function, arrays, at, grads), rtol=1e-3, atol=1e-4)


# ---- declined, counted, broken -------------------------------------------------------------------
def test_what_is_left_to_the_decomposition(c_device: Device) -> None:
    gates, state, w = draw(0, 6, 8), draw(1, 3, 2), draw(2, 8, 2)
    settings = {"batch_sizes": (3, 3), "reverse": False}
    for arguments in (
        (gates, state, state, w, draw(3, 2, 2)), (gates[:, :6], state, state, w, None),
        (gates, state, state.astype(np.float64), w, None)):
        assert c_device.native("lstm_sequence", *arguments, **settings) is NotImplemented


def test_two_kernels_per_step() -> None:
    backend = Recorder("rec", Cuda(), GPU)
    device = Device(backend)
    given = [device.put(a) for a in (draw(0, 60, 6), draw(1, 3, 2), draw(2, 6, 2), draw(3, 6))]
    for _ in range(2):
        backend.kernels.fresh["gru_sequence"](*given, batch_sizes=(3,) * 20, reverse=False)
    assert backend.launches == 2 * (20 * 2 + 1)
    assert len(backend.sources) <= 3


def test_lstm_cell_finds_a_dropped_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last element of the state is left out."""
    backend = c_backend()
    compiled = type(backend).compile

    def without_last(self: Any, source: KernelSource, index: int) -> Any:
        text, count = re.subn("fb_item < fb_last", "fb_item < fb_last - 1", source.text)
        assert count == 1
        return compiled(self, KernelSource(
            source.name, text, source.parameters, source.group_size), index)

    test_lstm_cell(Device(backend))
    monkeypatch.setattr(type(backend), "compile", without_last)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_lstm_cell(Device(type(backend)()))
