"""Pictures of tensors."""

import io

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision.utils import make_grid, save_image


def test_a_grid():
    images = fb.arange(1, 6).view(5, 1, 1, 1).expand(5, 3, 2, 2).to(fb.float32)
    grid = make_grid(images, nrow=2, padding=1, pad_value=-1)
    assert grid.shape == (3, 10, 7)
    assert grid[0, ::3].tolist() == [[-1] * 7] * 4
    assert grid[0, 1].tolist() == [-1, 1, 1, -1, 2, 2, -1]
    assert grid[2, 8].tolist() == [-1, 5, 5, -1, -1, -1, -1]


def test_grey_images_become_three_channels():
    assert make_grid(fb.ones(4, 5)).shape == (3, 4, 5)
    assert make_grid(fb.ones(1, 4, 5)).shape == (3, 4, 5)
    assert make_grid(fb.ones(2, 1, 4, 5), padding=0).shape == (3, 4, 10)
    assert make_grid([fb.ones(3, 4, 5)] * 3, nrow=3).shape == (3, 8, 23)


def test_normalising():
    images = fb.stack([fb.full((3, 1, 2), 2.0), fb.full((3, 1, 2), 4.0)])
    images[1, :, :, 1] = 6.0
    whole = make_grid(images, padding=0, normalize=True)
    assert whole[0, 0].tolist() == [0, 0, 0.5, 1]
    each = make_grid(images, padding=0, normalize=True, scale_each=True)
    assert each[0, 0].tolist() == [0, 0, 0, 1]
    given = make_grid(images, padding=0, normalize=True, value_range=(3.0, 5.0))
    assert given[0, 0].tolist() == [0, 0, 0.5, 1]
    assert images.max().item() == 6.0


@pytest.mark.parametrize(
    ("tensor", "options", "words"),
    [
        (3, {}, "got <class 'int'>"),
        ([fb.ones(1), 3], {}, "list containing <class 'int'>"),
        (fb.ones(2, 2), {"normalize": True, "value_range": [0, 1]}, "value_range"),
    ],
)
def test_what_is_refused(tensor, options, words):
    with pytest.raises(TypeError, match=words):
        make_grid(tensor, **options)


def test_save_image(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    image = fb.tensor([0.0, 0.5, 1.5]).view(1, 1, 3)
    save_image(image, tmp_path / "x.png")
    assert np.asarray(Image.open(tmp_path / "x.png"))[0, :, 0].tolist() == [0, 128, 255]
    held = io.BytesIO()
    save_image([fb.rand(3, 4, 4)] * 2, held, format="png", nrow=1, padding=0)
    assert Image.open(held).size == (4, 8)
