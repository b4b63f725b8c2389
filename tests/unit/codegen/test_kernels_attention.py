"""Generated attention against its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_device import Device
from recorder import GPU, Recorder

from flambeau import dtypes
from flambeau.backend.generated import C, Cuda, Dialect, OpenCL, attention
from flambeau.codegen.kernels.attention import Weights

Array = np.ndarray[Any, Any]
SCALE = 0.4
CLOSE = {"rtol": 2e-4, "atol": 2e-5}


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def triple(lead: tuple[int, ...], queries: int, keys: int) -> tuple[Array, Array, Array]:
    return draw(0, *lead, queries, 7), draw(1, *lead, keys, 7), draw(2, *lead, keys, 5)


def definition(
    q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool
) -> tuple[Array, Array, Array]:
    """Result, logarithms of the rows' sums, weights; in double precision."""
    q, k, v = (t.astype(np.float64) for t in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) * SCALE
    if is_causal:
        mask = np.tri(*scores.shape[-2:], dtype=bool)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    top = scores.max(-1, keepdims=True)
    top = np.where(np.isinf(top), 0, top)
    e = np.exp(scores - top)
    total = e.sum(-1, keepdims=True)
    total = np.where(total == 0, 1, total)
    weights = e / total
    return weights @ v, (top + np.log(total))[..., 0], weights


CASES: dict[str, tuple[tuple[int, ...], int, int, Any, bool]] = {
    "plain": ((2, 3), 19, 37, None, False),
    "causal": ((2, 3), 37, 19, None, True),
    "bool_mask": ((2, 3), 6, 9, (6, 9), False),
    "mask_per_sample": ((2, 3), 6, 9, (2, 1, 6, 9), False),
    "float_mask": ((2, 3), 6, 9, "float", False),
    "no_batch": ((), 40, 20, None, False),
    "one_query": ((2,), 1, 33, None, False),
    "long": ((2,), 300, 70, None, True),
}


def drawn_mask(shape: Any) -> Array | None:
    if shape is None:
        return None
    if shape == "float":
        return draw(5, 3, 1, 9)
    mask: Array = np.random.default_rng(5).random(shape) < 0.6
    mask[..., 2, :] = False  # a query that sees nothing
    return mask


@pytest.mark.parametrize("name", CASES)
def test_forward_and_gradients(device: Device, name: str) -> None:
    lead, queries, keys, shape, is_causal = CASES[name]
    q, k, v = triple(lead, queries, keys)
    mask = drawn_mask(shape)
    want, logsum, w = definition(q, k, v, mask, is_causal)
    out, got = device.run("attention", q, k, v, mask, is_causal=is_causal, scale=SCALE)
    np.testing.assert_allclose(out, want, **CLOSE)
    np.testing.assert_allclose(got, logsum, **CLOSE)
    g = draw(3, *out.shape)
    into = g @ v.swapaxes(-1, -2).astype(np.float64)
    slope = w * (into - (w * into).sum(-1, keepdims=True)) * SCALE
    grads = device.run(
        "attention_grads", g, q, k, v, mask, out, got, is_causal=is_causal, scale=SCALE,
        for_query=True, for_key=True, for_value=True)
    wants = slope @ k, slope.swapaxes(-1, -2) @ q, w.swapaxes(-1, -2) @ g
    for found, wanted in zip(grads, wants, strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)


def test_heads_that_lie_side_by_side(device: Device) -> None:
    q, k, v = (t.swapaxes(1, 2) for t in (draw(0, 2, 20, 3, 7), draw(1, 2, 33, 3, 7),
                                          draw(2, 2, 33, 3, 5)))
    out, _ = device.run("attention", q, k, v, None, is_causal=True, scale=SCALE)
    np.testing.assert_allclose(out, definition(q, k, v, None, True)[0], **CLOSE)


@pytest.mark.parametrize("is_causal", [False, True])
def test_scores_are_held_by_blocks(
    device: Device, monkeypatch: pytest.MonkeyPatch, is_causal: bool
) -> None:
    """Blocks of samples and of queries, the last of them shorter."""
    monkeypatch.setattr(attention, "WORKSPACE", 1 << 13)
    monkeypatch.setattr(attention, "CAUSAL", 32)
    q, k, v = triple((5, 2), 50, 41)
    want, _, w = definition(q, k, v, None, is_causal)
    out, logsum = device.run("attention", q, k, v, None, is_causal=is_causal, scale=SCALE)
    np.testing.assert_allclose(out, want, **CLOSE)
    g = draw(3, *out.shape)
    _, dk, dv = device.run(
        "attention_grads", g, q, k, v, None, out, logsum, is_causal=is_causal, scale=SCALE,
        for_query=False, for_key=True, for_value=True)
    np.testing.assert_allclose(dv, w.swapaxes(-1, -2) @ g, **CLOSE)
    into = g @ v.swapaxes(-1, -2).astype(np.float64)
    slope = w * (into - (w * into).sum(-1, keepdims=True)) * SCALE
    np.testing.assert_allclose(dk, slope.swapaxes(-1, -2) @ q, **CLOSE)


def test_workspace_is_bounded() -> None:
    class Measured(Recorder):
        most = 0

        def alloc(self, nbytes: int, index: int) -> Any:
            self.most = max(self.most, nbytes)
            return super().alloc(min(nbytes, 1 << 16), index)

    backend = Measured("measured", Cuda(), GPU)
    q = np.zeros((1, 1, 1, 1), np.float32)
    device = Device(backend)
    large = np.broadcast_to(q, (8, 12, 2048, 64))  # scores: 1.6 GB
    device.native("attention", large, large, large, None, is_causal=False, scale=1.0)
    assert backend.most <= max(attention.WORKSPACE, 4 * large.size)


def test_only_wanted_gradients(c_device: Device) -> None:
    q, k, v = triple((2,), 5, 6)
    out, logsum = c_device.run("attention", q, k, v, None, is_causal=False, scale=SCALE)
    dq, dk, dv = c_device.run(
        "attention_grads", out, q, k, v, None, out, logsum, is_causal=False, scale=SCALE,
        for_query=False, for_key=True, for_value=False)
    assert dq is None and dv is None and dk.shape == k.shape


def test_what_does_not_fit_is_declined(c_device: Device) -> None:
    q, k, v = triple((2,), 5, 6)
    for given in ((q[:, :, :3], k, v, None), (q, k, v[:, 1:], None), (q[:1], k, v, None),
                  (q[:, :0], k, v, None), (q, k, v, np.zeros((5, 6), np.float64)),
                  tuple(t.astype(np.float16) for t in (q, k, v)) + (None,)):
        assert c_device.native(
            "attention", *given, is_causal=False, scale=SCALE) is NotImplemented


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_texts(dialect: Dialect) -> None:
    forward = Weights(dtypes.float32, dtypes.bool, True, False, 2, "i32", 64).source(dialect)
    backward = Weights(dtypes.float64, None, False, True, 1, "i64", 64).source(dialect)
    assert forward.text.count("fb_exp_f32(") == 2  # its definition and one use
    assert [p.name for p in forward.parameters if p.is_buffer] == ["scores", "logsum", "mask"]
    assert [p.name for p in backward.parameters if p.is_written] == ["scores", "slopes"]
