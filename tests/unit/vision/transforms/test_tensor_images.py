"""What transforms make of tensors; values without a comment are torchvision's."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms as T
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms import resample

I = T.InterpolationMode  # noqa: E741
RAMP = fb.arange(20, dtype=fb.float32).view(1, 4, 5)
COLOR = fb.tensor([0.9, 0.2, 0.4]).view(3, 1, 1)


def flat(tensor):
    return tensor.flatten().tolist()


@pytest.mark.parametrize(
    ("mode", "antialias", "shrunk", "grown"),
    [
        (I.BILINEAR, True, [4.0, 5.571429, 7.142857, 11.857143, 13.428571, 15.0], 228.0),
        (I.BILINEAR, False, [2.833333, 4.5, 6.166667, 12.833334, 14.5, 16.166666], 228.0),
        (I.BICUBIC, True, [3.28773, 4.933884, 6.580038, 12.419961, 14.066115, 15.712269], 228.0),
        (I.BICUBIC, False, [2.29051, 4.03125, 5.771989, 13.228012, 14.96875, 16.709487], 228.0),
        (I.NEAREST, True, [0, 1, 3, 10, 11, 13], 196.0),
        (I.NEAREST_EXACT, True, [5, 7, 9, 15, 17, 19], 248.0),
    ],
)
def test_resize(mode, antialias, shrunk, grown):
    small = F.resize(RAMP, [2, 3], mode, antialias=antialias)
    assert small.shape == (1, 2, 3)
    assert flat(small) == pytest.approx(shrunk, rel=1e-5)
    large = F.resize(RAMP, [6, 4], mode, antialias=antialias)
    assert large.sum().item() == pytest.approx(grown, rel=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("length", "new"), [(5, 3), (3, 5), (7, 7), (1, 4), (4, 1)])
def test_weights_of_an_output_sum_to_one(mode, antialias, length, new):
    matrix = resample.weights(length, new, mode, antialias)
    assert matrix.shape == (new, length)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)


def test_resize_of_bytes_rounds_and_stays_in_range():
    image = fb.tensor([[0, 255, 0, 255]] * 4).to(fb.uint8).unsqueeze(0)
    out = F.resize(image, [5, 7], I.BICUBIC)
    assert out.dtype is fb.uint8
    assert out.max().item() == 255


@pytest.mark.parametrize(
    ("size", "limit", "shape"),
    [(2, None, (2, 2)), ([3], None, (3, 3)), (8, 9, (7, 9)), ((3, 7), None, (3, 7))],
)
def test_resize_keeps_the_aspect_ratio_of_one_number(size, limit, shape):
    assert F.resize(RAMP, size, max_size=limit).shape[-2:] == shape


def test_resize_to_the_same_size_is_the_image():
    assert F.resize(RAMP, (4, 5)) is RAMP


def test_flips_and_crops_are_exact():
    assert flat(F.hflip(RAMP)[0, 0]) == [4, 3, 2, 1, 0]
    assert flat(F.vflip(RAMP)[0, :, 0]) == [15, 10, 5, 0]
    assert F.crop(RAMP, 1, 2, 2, 3).tolist() == [[[7, 8, 9], [12, 13, 14]]]
    assert F.center_crop(RAMP, (2, 3)).tolist() == [[[6, 7, 8], [11, 12, 13]]]


def test_crops_beyond_the_edge_are_black():
    assert F.crop(RAMP, -1, 3, 3, 4).tolist() == [[[0, 0, 0, 0], [3, 4, 0, 0], [8, 9, 0, 0]]]
    assert F.crop(RAMP, 10, 10, 2, 2).tolist() == [[[0, 0], [0, 0]]]
    assert F.center_crop(RAMP, (6, 3))[0].tolist()[0] == [0, 0, 0]


def test_five_and_ten_crops():
    crops = F.five_crop(RAMP, 2)
    assert [crop[0, 0, 0].item() for crop in crops] == [0, 3, 10, 13, 7]
    assert len(F.ten_crop(RAMP, 2)) == 10
    assert F.ten_crop(RAMP, 2)[5][0, 0, 0].item() == 4
    assert F.ten_crop(RAMP, 2, vertical_flip=True)[5][0, 0, 0].item() == 15


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("constant", [7, 7, 0, 1, 2, 3, 4, 7]),
        ("edge", [0, 0, 0, 1, 2, 3, 4, 4]),
        ("reflect", [2, 1, 0, 1, 2, 3, 4, 3]),
        ("symmetric", [1, 0, 0, 1, 2, 3, 4, 4]),
    ],
)
def test_padding(mode, row):
    out = F.pad(RAMP, (2, 0, 1, 1), fill=7, padding_mode=mode)
    assert out.shape == (1, 5, 8)
    assert flat(out[0, 0]) == row


def test_negative_padding_crops():
    assert flat(F.pad(RAMP, (-1, 0, 1, -3))[0]) == [1, 2, 3, 4, 0]
    assert flat(F.pad(RAMP, (-1, 0, 1, -3), padding_mode="edge")[0]) == [1, 2, 3, 4, 4]


def test_a_quarter_turn():
    square = fb.arange(9, dtype=fb.float32).view(1, 3, 3)
    assert F.rotate(square, 90).tolist() == [[[2, 5, 8], [1, 4, 7], [0, 3, 6]]]
    assert F.rotate(square, 90, expand=True).shape == (1, 3, 3)
    assert F.rotate(RAMP, 45, expand=True).shape == (1, 8, 7)


def test_rotation_with_interpolation_and_fill():
    out = F.rotate(RAMP, 30, I.BILINEAR, fill=[9.0])
    expected = [
        [7.2324519, 3.617029, 3.7548099, 7.1208353, 7.0224609],
        [0.8528857, 4.2189107, 7.5849361, 10.950962, 14.316987],
        [4.6830125, 8.0490379, 11.415064, 14.781089, 18.147113],
        [6.7516088, 11.879166, 15.24519, 11.101263, 7.9175601],
    ]
    np.testing.assert_allclose(out[0].numpy(), expected, rtol=1e-5)


def test_affine():
    out = F.affine(RAMP, 15, [1, -1], 1.2, [10, 5])
    assert out.tolist() == [
        [[0, 5, 6, 7, 8], [10, 11, 11, 12, 13], [15, 16, 17, 18, 18], [0, 0, 0, 0, 19]]
    ]


def test_nothing_to_do_is_the_identity():
    image = (fb.rand(3, 5, 7) * 255).to(fb.uint8)
    for mode in (I.NEAREST, I.BILINEAR):
        out = F.affine(image, 0.0, (0, 0), 1.0, (0.0, 0.0), mode, fill=3)
        assert out.tolist() == image.tolist()


def test_rotation_about_a_corner():
    out = F.rotate(RAMP, 180, center=(0, 0))
    assert flat(out) == [0.0] * 20


@pytest.mark.parametrize(
    ("function", "factor", "floats", "integers"),
    [
        (F.adjust_brightness, 1.5, [1.0, 0.3, 0.6], [255, 76, 153]),
        (F.adjust_contrast, 0.5, [0.666005, 0.316005, 0.416005], [169, 80, 106]),
        (F.adjust_saturation, 0.3, [0.572407, 0.362407, 0.422407], [145, 92, 107]),
        (F.adjust_hue, 0.2, [0.9, 0.84, 0.2], [229, 214, 51]),
        (F.adjust_gamma, 2.0, [0.81, 0.04, 0.16], [206, 10, 40]),
    ],
)
def test_colors(function, factor, floats, integers):
    assert flat(function(COLOR, factor)) == pytest.approx(floats, abs=1e-6)
    out = function((COLOR * 255).to(fb.uint8), factor)
    assert out.dtype is fb.uint8
    assert flat(out) == pytest.approx(integers, abs=1)


def test_a_full_turn_of_the_hue_changes_nothing():
    image = fb.rand(3, 4, 5)
    half = F.adjust_hue(F.adjust_hue(image, 0.5), 0.5)
    np.testing.assert_allclose(half.numpy(), image.numpy(), atol=1e-5)
    grey = fb.full((3, 2, 2), 0.3)
    np.testing.assert_allclose(F.adjust_hue(grey, 0.2).numpy(), grey.numpy(), atol=1e-6)


def test_color_jitter_of_a_fixed_factor():
    jitter = T.ColorJitter(brightness=(1.5, 1.5))
    assert flat(jitter(COLOR)) == pytest.approx([1.0, 0.3, 0.6])


def test_grayscale():
    luma = 0.2989 * 0.9 + 0.587 * 0.2 + 0.114 * 0.4
    assert flat(T.Grayscale()(COLOR)) == pytest.approx([luma])
    assert flat(T.Grayscale(3)(COLOR)) == pytest.approx([luma] * 3)


def test_normalize():
    out = T.Normalize((0.5, 0.5, 0.5), (0.5, 0.1, 0.2))(COLOR)
    assert flat(out) == pytest.approx([0.8, -3.0, -0.5])
    image = COLOR.clone()
    assert T.Normalize([0.5], [0.5], inplace=True)(image) is image
    assert flat(image) == pytest.approx([0.8, -0.6, -0.2])
    assert flat(COLOR) == pytest.approx([0.9, 0.2, 0.4])


def test_erase():
    out = F.erase(RAMP, 1, 2, 2, 2, 0.0)
    assert (out == 0).sum().item() == 5
    assert flat(RAMP[0, 1]) == [5, 6, 7, 8, 9]


def test_sizes():
    assert F.get_dimensions(RAMP) == [1, 4, 5]
    assert F.get_image_size(RAMP) == [5, 4]
    assert F.get_image_num_channels(fb.ones(4, 5)) == 1


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        (fb.uint8, fb.float32, 51, 0.2),
        (fb.float32, fb.uint8, 1.0, 255),
        (fb.float32, fb.uint8, 0.5, 127),
        (fb.uint8, fb.int16, 255, 255 * 128),
        (fb.int16, fb.uint8, 32767, 255),
        (fb.float32, fb.float64, 0.25, 0.25),
        (fb.uint8, fb.uint8, 3, 3),
    ],
)
def test_convert_image_dtype(source, target, value, expected):
    out = T.ConvertImageDtype(target)(fb.tensor([[value]], dtype=source))
    assert out.dtype is target
    assert out.item() == pytest.approx(expected)


def test_transforms_are_modules():
    from flambeau import nn

    both = nn.Sequential(T.CenterCrop(2), T.Normalize((0.0,), (2.0,)))
    assert both(RAMP).shape == (1, 2, 2)
