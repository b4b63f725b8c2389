"""Boxes, masks and keypoints on images."""

import pytest

import flambeau as fb
from flambeau.vision.utils import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks

pytest.importorskip("PIL.Image")
BLACK = fb.zeros(3, 12, 14, dtype=fb.uint8)


def test_a_box():
    out = draw_bounding_boxes(BLACK, fb.tensor([[2, 3, 8, 9]]), colors="lime")
    border = fb.zeros(12, 14, dtype=fb.uint8)
    border[3:10, 2:9] = 255
    border[4:9, 3:8] = 0
    assert fb.equal(out[1], border)
    assert not out[0].any()
    assert not BLACK.any()


def test_filled_boxes_with_labels_on_floats():
    boxes = fb.tensor([[0, 0, 13, 11], [1, 1, 3, 3]])
    image = fb.zeros(1, 12, 14)
    out = draw_bounding_boxes(image, boxes, ["x", None], [(255, 0, 0), "blue"], fill=True)
    assert out.shape == (3, 12, 14)
    assert out.dtype is fb.float32
    assert out[0, 0, 0] == 1
    assert 0.3 < out[0, 10, 7] < 0.5
    assert out[2, 1, 1] == 1


def test_masks():
    masks = fb.zeros(2, 12, 14, dtype=fb.bool)
    masks[0, :4] = masks[1, 2:6] = True
    out = draw_segmentation_masks(BLACK + 100, masks, 0.5, ["red", "#0000ff"])
    assert out[:, 0, 0].tolist() == [177, 50, 50]
    assert out[:, 3, 0].tolist() == [50, 50, 177]
    assert out[:, 8, 0].tolist() == [100, 100, 100]
    distinct = draw_segmentation_masks(BLACK, masks, 1.0)
    assert distinct[:, 0, 0].tolist() != distinct[:, 5, 0].tolist()


def test_keypoints():
    points = fb.tensor([[[2, 2], [10, 2], [2, 9]]])
    seen = fb.tensor([[True, True, False]])
    lines = [(0, 1), (0, 2)]
    out = draw_keypoints(BLACK, points, lines, "red", radius=1, width=1, visibility=seen)
    assert (out[0, 2, 2:11] == 255).all()
    assert out[0, 9, 2] == 0
    assert out[0, 5, 2] == 0


def test_what_is_refused():
    box = fb.tensor([[5, 5, 2, 2]])
    with pytest.raises(TypeError, match="must be a tensor"):
        draw_bounding_boxes(3, box)
    with pytest.raises(ValueError, match="dtype"):
        draw_bounding_boxes(BLACK.int(), box)
    with pytest.raises(ValueError, match="1 x H x W"):
        draw_bounding_boxes(BLACK[0], box)
    with pytest.raises(ValueError, match="xmin"):
        draw_bounding_boxes(BLACK, box)
    with pytest.raises(ValueError, match="mismatch"):
        draw_bounding_boxes(BLACK, box.sort().values, ["a", "b"])
    with pytest.raises(ValueError, match="0 < 1"):
        draw_bounding_boxes(BLACK, box.sort().values, colors=[])
    with pytest.raises(ValueError, match="must be bool"):
        draw_segmentation_masks(BLACK, fb.zeros(12, 14))
    with pytest.raises(ValueError, match="N x K x 2"):
        draw_keypoints(BLACK, box)
    with pytest.raises(ValueError, match="visibility"):
        draw_keypoints(BLACK, box[..., :2][None], visibility=fb.ones(1))
