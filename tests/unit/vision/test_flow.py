"""Optical flow as colours."""

import pytest

import flambeau as fb
from flambeau.vision.utils import flow_to_image


def test_directions_and_lengths():
    flow = fb.tensor([[1.0, 0, 0.5, -1], [0, 0, 0, 0]], dtype=fb.float64).view(2, 1, 4)
    image = flow_to_image(flow)
    assert image.dtype is fb.uint8
    columns = image[:, 0].T.tolist()
    assert columns[1] == [255, 255, 255]
    assert columns[0] == pytest.approx([255, 0, 0], abs=1)  # right
    assert columns[2] == pytest.approx([255, 127, 127], abs=1)
    # Left: place 27 of 0 to 54, on the way from cyan (25) to blue (36).
    assert columns[3] == pytest.approx([0, 255 - 255 * 2 / 11, 255], abs=1)
    assert fb.equal(flow_to_image(flow[None])[0], image)


def test_what_is_refused():
    with pytest.raises(ValueError, match="dtype float"):
        flow_to_image(fb.zeros(2, 3, 3, dtype=fb.int32))
    with pytest.raises(ValueError, match="shape"):
        flow_to_image(fb.zeros(3, 3, 3))
