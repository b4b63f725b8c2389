"""Random images; the numbers are torchvision's."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision.datasets import FakeData

pytest.importorskip("PIL.Image")


def test_samples_are_those_of_torchvision():
    dataset = FakeData(4, (3, 2, 2), 5)
    assert [
        (np.asarray(image).ravel().tolist(), label) for image, label in (dataset[0], dataset[1])
    ] == [
        ([136, 236, 73, 182, 156, 154, 213, 102, 104, 144, 213, 46], 4),
        ([168, 141, 250, 68, 214, 113, 15, 124, 29, 158, 97, 242], 3),
    ]


def test_the_default_generator_is_left_alone():
    fb.manual_seed(0)
    FakeData(2, (3, 2, 2))[0]
    assert fb.rand(1).item() == 0.49625658988952637


def test_offset_transforms_and_end():
    plain, shifted = FakeData(3, (1, 2, 2)), FakeData(3, (1, 2, 2), random_offset=1)
    assert plain[1][0].tobytes() == shifted[0][0].tobytes()
    changed = FakeData(3, (1, 2, 2), transform=lambda im: "x", target_transform=lambda t: t + 100)
    assert changed[0][0] == "x"
    assert changed[0][1] >= 100
    assert len(list(changed)) == 3
