"""Sampling at the points of a grid, against torch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import flambeau as fb


def _run(ns, values, points, **options):
    x = ns.from_numpy(values.copy()).requires_grad_()
    grid = ns.from_numpy(points.copy()).requires_grad_()
    out = ns.nn.functional.grid_sample(x, grid, **options)
    (out * out).sum().backward()
    return out.detach().numpy(), x.grad.numpy(), grid.grad.numpy()


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic", "volume"])
def test_equals_torch(mode, padding, aligned):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    n = 3 if mode == "volume" else 2
    values = rng.standard_normal((2, 3, 4, 5, 3)[: n + 2]).astype("float32")
    points = rng.uniform(-1.4, 1.4, (2, *(3,) * n, n)).astype("float32")
    options = {"mode": "bilinear" if n == 3 else mode, "padding_mode": padding,
               "align_corners": aligned}
    for mine, theirs in zip(
            _run(fb, values, points, **options), _run(torch, values, points, **options),
            strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("aligned", [False, True])
def test_identity(aligned):
    x = fb.rand(1, 2, 4, 5)
    theta = fb.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    grid = fb.nn.functional.affine_grid(theta, (1, 2, 4, 5), align_corners=aligned)
    same = fb.nn.functional.grid_sample(x, grid, align_corners=aligned)
    np.testing.assert_allclose(same.numpy(), x.numpy(), atol=1e-5)


def test_the_default_warns():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fb.nn.functional.grid_sample(fb.rand(1, 1, 2, 2), fb.rand(1, 1, 1, 2))
    assert "align_corners=False" in str(seen[0].message)
