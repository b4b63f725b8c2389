"""Features of regions, against loops over single samples and pixels."""

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import ops

IMAGES = np.random.default_rng(0).standard_normal((2, 8, 9, 7))
REGIONS = np.array(
    [[0, 1.3, 2.1, 9.7, 12.2], [1, -6, -3, 5.5, 4.4], [0, 4, 4, 4.2, 4.3], [1, 9, 8, 20, 30.0]]
)


def bilinear(image, y, x):
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(image.shape[0])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = min(int(y), height - 2), min(int(x), width - 2)
    b, a = y - y0, x - x0
    corners = image[:, y0 : y0 + 2, x0 : x0 + 2]
    return np.einsum("cyx,y,x->c", corners, [1 - b, b], [1 - a, a])


def align(images, regions, size, scale, ratio, aligned, own_channels=False):
    height, width = size
    out = []
    for number, *corners in regions:
        shift = 0.5 if aligned or own_channels else 0
        x1, y1, x2, y2 = (c * scale - shift for c in corners)
        h, w = y2 - y1, x2 - x1
        if not aligned and not own_channels:
            h, w = max(h, 1), max(w, 1)
        m = ratio if ratio > 0 else math.ceil(h / height)
        n = ratio if ratio > 0 else math.ceil(w / width)
        bins = np.zeros((images.shape[1], height, width))
        for i, j in np.ndindex(height, width):
            for p, q in np.ndindex(m, n):
                y = y1 + (i + (p + 0.5) / m) * h / height
                x = x1 + (j + (q + 0.5) / n) * w / width
                bins[:, i, j] += bilinear(images[int(number)], y, x) / (m * n)
        if own_channels:
            apart = bins.reshape(-1, height, width, height, width)
            bins = np.einsum("cijij->cij", apart)
        out.append(bins)
    return np.stack(out)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 2])
def test_roi_align(ratio, aligned):
    images, regions = fb.from_numpy(IMAGES), fb.from_numpy(REGIONS)
    out = ops.roi_align(images, regions, (3, 2), 0.5, ratio, aligned)
    expected = align(IMAGES, REGIONS, (3, 2), 0.5, ratio, aligned)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-10, atol=1e-12)
    module = ops.RoIAlign((3, 2), 0.5, ratio, aligned)
    lists = [regions[:, 1:], regions[:0, 1:]]
    first = ops.roi_align(images, fb.cat([regions[:, :1] * 0, regions[:, 1:]], 1), 2)
    assert fb.equal(module(images, regions), out)
    assert fb.equal(ops.roi_align(images, lists, 2), first)
    assert ops.roi_align(images, regions[:0], 2).shape == (0, 8, 2, 2)


def test_position_sensitive_roi_align():
    images, regions = fb.from_numpy(IMAGES), fb.from_numpy(REGIONS)
    out = ops.ps_roi_align(images, regions, (2, 2), 0.5, 2)
    expected = align(IMAGES, REGIONS, (2, 2), 0.5, 2, False, own_channels=True)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-10, atol=1e-12)
    assert fb.equal(ops.PSRoIAlign(2, 0.5, 2)(images, regions), out)
    with pytest.raises(RuntimeError, match="multiple"):
        ops.ps_roi_align(images, regions, 3)


def pool(images, regions, size, scale):
    out = np.zeros((len(regions), images.shape[1], *size))
    for k, (number, *corners) in enumerate(regions):
        x1, y1, x2, y2 = (int(c * scale + math.copysign(0.5, c)) for c in corners)
        h, w = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for i, j in np.ndindex(*size):
            rows = [y1 + r for r in range(i * h // size[0], -(-(i + 1) * h // size[0]))]
            columns = [x1 + c for c in range(j * w // size[1], -(-(j + 1) * w // size[1]))]
            rows = [r for r in rows if 0 <= r < images.shape[2]]
            columns = [c for c in columns if 0 <= c < images.shape[3]]
            if rows and columns:
                out[k, :, i, j] = images[int(number)][:, rows][:, :, columns].max((1, 2))
    return out


def test_roi_pool():
    images, regions = fb.from_numpy(IMAGES), fb.from_numpy(REGIONS)
    out = ops.roi_pool(images, regions, (3, 2), 0.5)
    np.testing.assert_array_equal(out.numpy(), pool(IMAGES, REGIONS, (3, 2), 0.5))
    assert (out[3] == 0).any()
    assert fb.equal(ops.RoIPool((3, 2), 0.5)(images, regions), out)
    assert ops.roi_pool(images, regions[:0], 2).shape == (0, 8, 2, 2)


@pytest.mark.parametrize("name", ["roi_align", "roi_pool", "ps_roi_align"])
def test_derivatives(name):
    images = fb.from_numpy(IMAGES[:, :4, :5, :5].copy()).requires_grad_()
    regions = fb.from_numpy(REGIONS[:2]).requires_grad_()
    assert fb.autograd.gradcheck(
        lambda i: getattr(ops, name)(i, regions.detach(), 2, 0.4), (images,)
    )
    getattr(ops, name)(images, regions, 2, 0.4).sum().backward()
    assert regions.grad is None


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        (fb.zeros(3, 4), "K x 5"),
        ([fb.zeros(3, 4)], "1 lists of boxes for 2 images"),
        ([fb.zeros(3, 5)] * 2, "L x 4"),
        (fb.zeros(3, 5, dtype=fb.float64), "same dtype"),
    ],
)
def test_what_is_refused(boxes, words):
    for function in (ops.roi_align, ops.roi_pool, ops.ps_roi_align):
        with pytest.raises(RuntimeError, match=words):
            function(fb.zeros(2, 4, 5, 5), boxes, 2)
    with pytest.raises(RuntimeError, match="N x C x H x W"):
        ops.roi_align(fb.zeros(4, 5, 5), boxes, 2)


def test_many_levels():
    pooler = ops.MultiScaleRoIAlign(["a", "b"], 2, 2)
    maps = {"a": fb.rand(1, 3, 64, 64), "other": fb.rand(1, 1, 1, 1), "b": fb.rand(1, 3, 32, 32)}
    boxes = fb.tensor([[0.0, 0, 60, 50], [3, 5, 250, 250], [8, 8, 30, 20]])
    out = pooler(maps, [boxes], [(256, 256)])
    fine = ops.roi_align(maps["a"], [boxes], 2, 1 / 4, 2)
    coarse = ops.roi_align(maps["b"], [boxes], 2, 1 / 8, 2)
    fb.testing.assert_close(out, fb.stack([fine[0], coarse[1], fine[2]]))
    with pytest.raises(ValueError, match="empty"):
        pooler(maps, [], [])
    with pytest.raises(ValueError, match="none of the maps"):
        pooler({"c": maps["a"]}, [boxes], [(256, 256)])
