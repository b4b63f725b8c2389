"""Resizing, against torch."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb

CASES = [
    (mode, shape, size)
    for shape, modes in (
        ((2, 3, 7), ("nearest", "nearest-exact", "linear", "area")),
        ((2, 3, 5, 6), ("nearest", "nearest-exact", "bilinear", "bicubic", "area")),
        ((1, 2, 3, 4, 5), ("nearest", "trilinear")),
    )
    for mode in modes
    for size in ({"scale_factor": 2}, {"scale_factor": 0.6}, {"size": (4, 9, 5)[: len(shape) - 2]})
]
ALIGNED = ("linear", "bilinear", "bicubic", "trilinear")


def _run(ns, values, **options):
    x = ns.from_numpy(values.copy()).requires_grad_()
    out = ns.nn.functional.interpolate(x, **options)
    (out * out).sum().backward()
    return out.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize(("mode", "shape", "size"), CASES)
@pytest.mark.parametrize("aligned", [False, True])
def test_equals_torch(mode, shape, size, aligned):
    torch = pytest.importorskip("torch")
    if aligned and mode not in ALIGNED:
        pytest.skip("no corners to align")
    options = {"mode": mode, **size, **({"align_corners": True} if aligned else {})}
    values = np.random.default_rng(0).standard_normal(shape).astype("float32")
    for mine, theirs in zip(
            _run(fb, values, **options), _run(torch, values, **options), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias_equals_torch(mode):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).standard_normal((1, 2, 11, 9)).astype("float32")
    options = {"size": (4, 5), "mode": mode, "antialias": True}
    for mine, theirs in zip(
            _run(fb, values, **options), _run(torch, values, **options), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_nearest_repeats():
    x = fb.tensor([[[1.0, 2.0, 3.0]]])
    assert fb.nn.functional.interpolate(x, scale_factor=2).tolist() == [[[1, 1, 2, 2, 3, 3]]]
