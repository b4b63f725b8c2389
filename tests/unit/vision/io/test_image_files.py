"""Images in files and in bytes."""

import io

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import io as vision_io
from flambeau.vision.io import ImageReadMode

Image = pytest.importorskip("PIL.Image")


def picture(channels):
    values = np.random.default_rng(0).integers(0, 256, (channels, 5, 7), dtype=np.uint8)
    return fb.from_numpy(values)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(tmp_path, channels):
    image = picture(channels)
    vision_io.write_png(image, tmp_path / "x.png")
    assert fb.equal(vision_io.read_image(tmp_path / "x.png"), image)
    held = vision_io.encode_png(image, compression_level=0)
    assert fb.equal(vision_io.decode_png(held), image)
    assert held.numel() > vision_io.encode_png(image.new_zeros(image.shape)).numel()


def test_jpeg_keeps_about_all(tmp_path):
    ramp = fb.arange(64, dtype=fb.uint8).mul(3).view(1, 8, 8).expand(3, 8, 8)
    vision_io.write_jpeg(ramp, str(tmp_path / "x.jpg"), quality=95)
    back = vision_io.decode_jpeg(vision_io.read_file(tmp_path / "x.jpg"))
    assert back.shape == (3, 8, 8)
    assert (back.int() - ramp.int()).abs().max() < 12


@pytest.mark.parametrize(
    ("mode", "channels"),
    [(ImageReadMode.GRAY, 1), ("gray_alpha", 2), ("RGB", 3), ("RGBA", 4), ("UNCHANGED", 3)],
)
def test_channels_as_asked_for(mode, channels):
    decoded = vision_io.decode_image(vision_io.encode_png(picture(3)), mode)
    assert decoded.shape == (channels, 5, 7)


@pytest.mark.parametrize(
    ("mode", "channels", "dtype"),
    [("1", 1, fb.uint8), ("P", 3, fb.uint8), ("LA", 2, fb.uint8), ("I;16", 1, fb.uint16)],
)
def test_other_pillow_images(tmp_path, mode, channels, dtype):
    Image.new(mode, (7, 5)).save(tmp_path / "x.png")
    image = vision_io.read_image(str(tmp_path / "x.png"))
    assert image.shape == (channels, 5, 7)
    assert image.dtype is dtype


def test_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    held = io.BytesIO()
    Image.new("RGB", (7, 5)).save(held, format="jpeg", exif=exif)
    content = fb.from_numpy(np.frombuffer(held.getvalue(), np.uint8).copy())
    assert vision_io.decode_image(content).shape == (3, 5, 7)
    assert vision_io.decode_image(content, apply_exif_orientation=True).shape == (3, 7, 5)


def test_what_is_refused(tmp_path):
    png = vision_io.encode_png(picture(3))
    with pytest.raises(RuntimeError, match="decode_jpeg: these bytes"):
        vision_io.decode_jpeg(png)
    with pytest.raises(RuntimeError, match="cannot be decoded"):
        vision_io.decode_image(png[:60])
    with pytest.raises(RuntimeError, match="one-dimensional uint8"):
        vision_io.write_file(tmp_path / "x", fb.zeros(3))
    with pytest.raises(RuntimeError, match="1 x H x W or 3 x H x W"):
        vision_io.encode_png(fb.zeros(2, 5, 7, dtype=fb.uint8))
    with pytest.raises(RuntimeError, match="between 0 and 9"):
        vision_io.encode_png(picture(1), 10)
    with pytest.raises(ValueError, match="between 1 and 100"):
        vision_io.encode_jpeg(picture(1), 0)
    with pytest.raises(ValueError, match="'cmyk' is none of"):
        vision_io.decode_image(png, "cmyk")
