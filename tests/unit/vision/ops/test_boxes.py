"""Boxes, their overlaps and losses."""

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import ops

BOX = fb.tensor([[1.0, 2.0, 5.0, 10.0]])
SAME = {
    "xyxy": [1.0, 2.0, 5.0, 10.0],
    "xywh": [1.0, 2.0, 4.0, 8.0],
    "cxcywh": [3.0, 6.0, 4.0, 8.0],
}


@pytest.mark.parametrize("source", SAME)
@pytest.mark.parametrize("target", SAME)
def test_every_form_becomes_every_other(source, target):
    boxes = fb.tensor([[SAME[source]]])
    assert ops.box_convert(boxes, source, target).tolist() == [[SAME[target]]]
    assert ops.box_area(boxes, fmt=source).tolist() == [[32.0]]


def test_other_forms_are_refused():
    with pytest.raises(ValueError, match="'xyx'"):
        ops.box_convert(BOX, "xyx", "xyxy")
    with pytest.raises(ValueError, match="'yxyx'"):
        ops.box_area(BOX, fmt="yxyx")


def test_areas_of_narrow_dtypes_do_not_overflow():
    assert ops.box_area(fb.tensor([[0, 0, 100, 100]], dtype=fb.int8)).tolist() == [10000]
    area = ops.box_area(fb.tensor([[0, 0, 500, 500]], dtype=fb.float16))
    assert area.tolist() == [250000.0]
    assert area.dtype is fb.float32


def test_clipping_and_small_boxes():
    boxes = fb.tensor([[-1.0, -2, 50, 5], [1, 1, 3, 9], [2, 2, 4, 3]])
    clipped = ops.clip_boxes_to_image(boxes, (8, 10))
    assert clipped.tolist() == [[0, 0, 10, 5], [1, 1, 3, 8], [2, 2, 4, 3]]
    assert ops.remove_small_boxes(boxes, 2).tolist() == [0, 1]


def test_boxes_around_masks():
    masks = fb.zeros(2, 5, 7, dtype=fb.bool)
    masks[0, 1, 2] = masks[0, 3, 5] = masks[1, 4, 0] = True
    boxes = ops.masks_to_boxes(masks)
    assert boxes.tolist() == [[2, 1, 5, 3], [0, 4, 0, 4]]
    assert boxes.dtype is fb.float32
    assert ops.masks_to_boxes(masks[:0]).shape == (0, 4)
    with pytest.raises(RuntimeError, match=r"masks \[1\]"):
        ops.masks_to_boxes(masks & fb.tensor([True, False]).view(2, 1, 1))


A = fb.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]], dtype=fb.float64)
B = fb.tensor([[1.0, 1, 3, 5]], dtype=fb.float64)
V = 4 / math.pi**2 * (math.atan(1) - math.atan(0.5)) ** 2


def complete(iou, distance):
    return iou - distance - V * V / (1 - iou + V)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("box_iou", [1 / 11, 0]),
        ("generalized_box_iou", [1 / 11 - 4 / 15, -6 / 15]),
        ("distance_box_iou", [1 / 11 - 5 / 34, -8.5 / 34]),
        ("complete_box_iou", [complete(1 / 11, 5 / 34), complete(0, 8.5 / 34)]),
    ],
)
def test_overlaps(name, values):
    pairs = getattr(ops, name)(A, B)
    assert pairs.shape == (2, 1)
    np.testing.assert_allclose(pairs[:, 0].numpy(), values, rtol=1e-6, atol=1e-7)
    if name != "box_iou":
        loss = getattr(ops, name + "_loss")
        np.testing.assert_allclose(loss(A, B.expand(2, 4)).numpy(), 1 - np.array(values), rtol=1e-6)
        assert loss(A, B.expand(2, 4), "sum").item() == pytest.approx(2 - sum(values), rel=1e-6)
        assert loss(A[:0], B[:0], "mean").item() == 0
        with pytest.raises(ValueError, match="'most'"):
            loss(A, A, reduction="most")


def test_overlap_of_other_forms():
    sizes = fb.tensor([[1.0, 1, 2, 4]], dtype=fb.float64)
    assert ops.box_iou(ops.box_convert(A, "xyxy", "xywh"), sizes, fmt="xywh")[0].item() == 1 / 11


@pytest.mark.parametrize("name", ["generalized_box_iou_loss", "distance_box_iou_loss"])
def test_derivatives_of_the_losses(name):
    boxes = fb.tensor([[0.1, 0.2, 2, 2.3]], dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(lambda b: getattr(ops, name)(b, B), (boxes,))


def test_focal_loss():
    logits = fb.tensor([-1.0, 0.0, 2.0], dtype=fb.float64)
    targets = fb.tensor([1.0, 0.0, 1.0], dtype=fb.float64)
    p = 1 / (1 + np.exp(-np.array([-1.0, 0, 2])))
    right = np.where(np.array([1, 0, 1]), p, 1 - p)
    expected = -((1 - right) ** 3) * np.log(right)
    weights = np.array([0.3, 0.7, 0.3])
    loss = ops.sigmoid_focal_loss(logits, targets, alpha=0.3, gamma=3)
    np.testing.assert_allclose(loss.numpy(), weights * expected, rtol=1e-12)
    mean = ops.sigmoid_focal_loss(logits, targets, alpha=-1, gamma=3, reduction="mean")
    assert mean.item() == pytest.approx(expected.mean())
    with pytest.raises(ValueError, match="alpha"):
        ops.sigmoid_focal_loss(logits, targets, alpha=2)


def greedy(boxes, scores, classes, threshold):
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if all(classes[i] != classes[k] or overlap(boxes[i], boxes[k]) <= threshold for k in kept):
            kept.append(int(i))
    return kept


def overlap(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(area) - width * height)


def test_non_maximum_suppression():
    random = np.random.default_rng(0)
    corners = random.random((60, 2)) * 10
    boxes = np.concatenate([corners, corners + 1 + random.random((60, 2)) * 5], 1)
    scores, classes = random.random(60), random.integers(0, 3, 60)
    t = [fb.from_numpy(a) for a in (boxes, scores, classes)]
    one = ops.nms(t[0], t[1], 0.3)
    assert one.tolist() == greedy(boxes, scores, np.zeros(60), 0.3)
    assert one.dtype is fb.int64
    assert 2 < one.numel() < 60
    assert ops.batched_nms(*t, 0.3).tolist() == greedy(boxes, scores, classes, 0.3)
    assert ops.nms(t[0][:0], t[1][:0], 0.5).tolist() == []


@pytest.mark.parametrize(
    ("boxes", "scores", "words"),
    [((3, 5), (3,), "N x 4"), ((3, 4), (2,), "same number"), ((3, 4), (3, 1), "same number")],
)
def test_what_suppression_refuses(boxes, scores, words):
    with pytest.raises(RuntimeError, match=words):
        ops.nms(fb.zeros(boxes), fb.zeros(scores), 0.5)
