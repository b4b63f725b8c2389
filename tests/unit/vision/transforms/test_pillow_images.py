"""What transforms make of Pillow images, and conversion to and from tensors."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms as T
from flambeau.vision.transforms import functional as F

Image = pytest.importorskip("PIL.Image")

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
GREY = Image.fromarray(PIXELS[:, :, 0].copy())


def pixels(image):
    return np.asarray(image)


def test_to_tensor():
    out = T.ToTensor()(RGB)
    assert out.shape == (3, 6, 8)
    assert out.dtype is fb.float32
    np.testing.assert_array_equal(out.numpy(), np.float32(PIXELS.transpose(2, 0, 1)) / 255)
    assert T.ToTensor()(GREY).shape == (1, 6, 8)
    np.testing.assert_array_equal(T.ToTensor()(PIXELS).numpy(), out.numpy())


def test_to_tensor_of_other_types_keeps_the_values():
    assert T.ToTensor()(np.array([[1.5, 2.5]])).tolist() == [[[1.5, 2.5]]]
    assert T.ToTensor()(np.array([[7, 8]], np.int32)).dtype is fb.int32
    assert T.ToTensor()(Image.fromarray(np.array([[7]], np.int32))).tolist() == [[[7]]]
    assert T.ToTensor()(Image.fromarray(np.array([[0.5]], np.float32))).tolist() == [[[0.5]]]
    assert T.ToTensor()(Image.new("1", (2, 1), 1)).tolist() == [[[1.0, 1.0]]]


def test_to_tensor_copies():
    array = np.zeros((2, 2), np.float32)
    out = T.ToTensor()(array)
    array[0, 0] = 1
    assert out.sum().item() == 0


def test_to_tensor_follows_the_default_dtype():
    fb.set_default_dtype(fb.float64)
    try:
        out = T.ToTensor()(RGB)
    finally:
        fb.set_default_dtype(fb.float32)
    assert out.dtype is fb.float64
    assert out[0, 0, 0].item() == PIXELS[0, 0, 0] / 255


def test_pil_to_tensor():
    out = T.PILToTensor()(RGB)
    assert out.dtype is fb.uint8
    np.testing.assert_array_equal(out.numpy(), PIXELS.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("shape", "dtype", "mode", "expected"),
    [
        ((3, 4, 5), fb.uint8, None, "RGB"),
        ((1, 4, 5), fb.uint8, None, "L"),
        ((4, 5), fb.uint8, None, "L"),
        ((2, 4, 5), fb.uint8, None, "LA"),
        ((4, 4, 5), fb.uint8, None, "RGBA"),
        ((4, 4, 5), fb.uint8, "CMYK", "CMYK"),
        ((3, 4, 5), fb.uint8, "HSV", "HSV"),
        ((1, 4, 5), fb.int32, None, "I"),
        ((1, 4, 5), fb.float32, None, "L"),
        ((1, 4, 5), fb.float32, "F", "F"),
        ((3, 4, 5), fb.float32, None, "RGB"),
    ],
)
def test_to_pil_image(shape, dtype, mode, expected):
    tensor = (fb.rand(*shape) * (200 if dtype is not fb.float32 else 1)).to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = T.ToPILImage(mode)(tensor)
    assert (image.mode, image.size) == (expected, (5, 4))
    if dtype is fb.uint8:
        back = T.PILToTensor()(image)
        assert back.tolist() == tensor.reshape(back.shape).tolist()


def test_to_pil_image_scales_floats():
    assert pixels(F.to_pil_image(fb.tensor([[0.0, 0.5, 1.0]]))).tolist() == [[0, 127, 255]]
    assert pixels(F.to_pil_image(np.float64([[[0.2]]]))).tolist() == [[51]]


@pytest.mark.parametrize(
    ("pic", "mode", "error", "words"),
    [
        (fb.ones(1, 2, 2).to(fb.uint8), "RGB", ValueError, "Should be L"),
        (fb.ones(3, 2, 2).to(fb.uint8), "L", ValueError, "RGB"),
        (fb.ones(2, 2, 2).to(fb.uint8), "RGB", ValueError, "LA"),
        (fb.ones(2, 2).to(fb.int64), None, TypeError, "int64 is not supported"),
    ],
)
def test_to_pil_image_refuses(pic, mode, error, words):
    with pytest.raises(error, match=words):
        T.ToPILImage(mode)(pic)


def test_flips_crops_and_sizes():
    np.testing.assert_array_equal(pixels(F.hflip(RGB)), PIXELS[:, ::-1])
    np.testing.assert_array_equal(pixels(F.vflip(RGB)), PIXELS[::-1])
    np.testing.assert_array_equal(pixels(F.crop(RGB, 1, 2, 3, 4)), PIXELS[1:4, 2:6])
    np.testing.assert_array_equal(pixels(F.center_crop(RGB, 4)), PIXELS[1:5, 2:6])
    assert F.center_crop(RGB, (10, 4)).size == (4, 10)
    assert F.get_dimensions(RGB) == [3, 6, 8]


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_padding_equals_numpys(mode):
    expected = np.pad(PIXELS, ((2, 4), (1, 3), (0, 0)), mode=mode)
    np.testing.assert_array_equal(pixels(F.pad(RGB, (1, 2, 3, 4), 0, mode)), expected)
    np.testing.assert_array_equal(
        pixels(F.pad(GREY, 2, 0, mode)), np.pad(PIXELS[:, :, 0], 2, mode=mode)
    )


def test_padding_with_a_color():
    assert F.pad(RGB, 1, fill=(1, 2, 3)).getpixel((0, 0)) == (1, 2, 3)
    assert F.pad(RGB, 1, fill=9).getpixel((0, 0)) == (9, 9, 9)
    with pytest.raises(ValueError, match=r"2 != 3"):
        F.pad(RGB, 1, fill=(1, 2))


def test_padding_keeps_the_palette():
    indexed = RGB.convert("P")
    for mode in ("constant", "edge"):
        out = F.pad(indexed, 1, 0, mode)
        assert out.mode == "P"
        assert out.getpalette() == indexed.getpalette()


@pytest.mark.parametrize("mode", list(T.InterpolationMode))
def test_resize(mode):
    assert F.resize(RGB, (3, 5), mode).size == (5, 3)
    assert F.resize(RGB, 3, 0).size == (4, 3)


def test_resize_cannot_do_without_smoothing():
    with pytest.warns(UserWarning, match="Anti-alias option is always applied"):
        F.resize(RGB, 3, antialias=False)


def test_rotation():
    np.testing.assert_array_equal(pixels(F.rotate(RGB, 90, expand=True)), np.rot90(PIXELS))
    assert F.rotate(RGB, 45, fill=7).getpixel((0, 0)) == (7, 7, 7)
    assert T.RandomRotation((180, 180))(GREY).getpixel((0, 0)) == int(PIXELS[-1, -1, 0])


def test_affine_shift():
    out = pixels(F.affine(RGB, 0, (2, 1), 1.0, 0.0))
    np.testing.assert_array_equal(out[1:, 2:], PIXELS[:-1, :-2])
    assert out[0].max() == 0


def test_colors():
    np.testing.assert_array_equal(pixels(F.adjust_brightness(RGB, 1)), PIXELS)
    assert pixels(F.adjust_brightness(RGB, 0)).max() == 0
    assert pixels(F.adjust_contrast(RGB, 0)).std() == 0
    assert pixels(F.adjust_saturation(RGB, 0)).std(axis=2).max() == 0
    assert F.adjust_hue(GREY, 0.3) is GREY
    assert Image.new("RGB", (1, 1), (255, 0, 0)).getpixel((0, 0)) == (255, 0, 0)
    turned = F.adjust_hue(Image.new("RGB", (1, 1), (255, 0, 0)), 1 / 3)
    assert np.argmax(turned.getpixel((0, 0))) == 1
    assert F.adjust_gamma(Image.new("L", (1, 1), 128), 2.0).getpixel((0, 0)) == 64


def test_grayscale():
    assert T.Grayscale()(RGB).mode == "L"
    three = pixels(T.Grayscale(3)(RGB))
    assert three.shape == (6, 8, 3)
    assert (three[:, :, 0] == three[:, :, 2]).all()


def test_a_pipeline():
    fb.manual_seed(0)
    pipeline = T.Compose(
        [
            T.RandomCrop(6, padding=2, padding_mode="reflect"),
            T.RandomHorizontalFlip(),
            T.ColorJitter(0.1, 0.1, 0.1, 0.1),
            T.ToTensor(),
            T.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            T.RandomErasing(1.0),
        ]
    )
    out = pipeline(RGB)
    assert out.shape == (3, 6, 6)
    assert -1.0 <= out.min().item() <= out.max().item() <= 1.0


def test_without_pillow_the_extra_is_named():
    program = (
        "import sys; sys.modules['PIL'] = None\n"
        "import flambeau as fb\n"
        "from flambeau.vision import transforms\n"
        "assert transforms.CenterCrop(2)(fb.ones(3, 4, 4)).shape == (3, 2, 2)\n"
        "transforms.ToPILImage()(fb.ones(3, 4, 4))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ImportError: images need Pillow" in done.stderr
    assert 'pip install "flambeau[vision]"' in done.stderr
