"""The transforms of Pillow images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flambeau.vision.pillow import channels_of, is_image, pillow

Fill = float | Sequence[float] | None


def check(image: Any) -> None:
    """Raise TypeError for what is no Pillow image."""
    if not is_image(image):
        raise TypeError(f"img should be PIL Image. Got {type(image)}")


def get_dimensions(image: Any) -> list[int]:
    """Channels, height, width."""
    if not is_image(image):
        raise TypeError(f"Unexpected type {type(image)}")
    width, height = image.size
    return [channels_of(image), height, width]


def hflip(image: Any) -> Any:
    """Left and right exchanged."""
    check(image)
    return image.transpose(pillow("Image").Transpose.FLIP_LEFT_RIGHT)


def vflip(image: Any) -> Any:
    """Top and bottom exchanged."""
    check(image)
    return image.transpose(pillow("Image").Transpose.FLIP_TOP_BOTTOM)


def crop(image: Any, top: int, left: int, height: int, width: int) -> Any:
    """A rectangle; black where it leaves the image."""
    check(image)
    return image.crop((left, top, left + width, top + height))


def resize(image: Any, size: Sequence[int], interpolation: int) -> Any:
    """Scaled to ``(height, width)``."""
    check(image)
    height, width = size
    return image.resize((width, height), interpolation)


def pad(image: Any, padding: Sequence[int], fill: Fill, mode: str) -> Any:
    """Pixels added at left, top, right, bottom (negative: removed)."""
    check(image)
    left, top, right, bottom = padding
    if mode == "constant":
        return _like_palette(
            image, pillow("ImageOps").expand(image, (left, top, right, bottom), _fill(fill, image))
        )
    image = image.crop(
        (
            max(-left, 0),
            max(-top, 0),
            image.width - max(-right, 0),
            image.height - max(-bottom, 0),
        )
    )
    pixels = np.asarray(image)
    widths = [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)]
    padded = np.pad(pixels, widths[: pixels.ndim], mode=mode)  # type: ignore[call-overload]
    return _like_palette(image, pillow("Image").fromarray(padded))


def _like_palette(source: Any, image: Any) -> Any:
    if source.mode == "P":
        image.putpalette(source.getpalette())
    return image


def _fill(fill: Fill, image: Any) -> Any:
    """The fill value as Pillow wants it: one number, or one per band."""
    bands = channels_of(image)
    if fill is None:
        fill = 0
    if isinstance(fill, (list, tuple)):
        values = tuple(fill) * bands if len(fill) == 1 else tuple(fill)
        if len(values) != bands:
            raise ValueError(
                "The number of elements in 'fill' does not match the number of channels of the "
                f"image ({len(values)} != {bands})"
            )
    else:
        values = (fill,) * bands
    if image.mode != "F":
        values = tuple(int(value) for value in values)
    return values[0] if bands == 1 and not isinstance(fill, (list, tuple)) else values


def affine(image: Any, matrix: Sequence[float], interpolation: int, fill: Fill) -> Any:
    """Every output pixel taken from where the inverse matrix (2 x 3, row by row) says."""
    check(image)
    method = pillow("Image").Transform.AFFINE
    return image.transform(image.size, method, matrix, interpolation, fillcolor=_fill(fill, image))


def rotate(
    image: Any,
    angle: float,
    interpolation: int,
    expand: bool,
    center: Sequence[float] | None,
    fill: Fill,
) -> Any:
    """Turned by degrees, counter-clockwise."""
    check(image)
    return image.rotate(angle, interpolation, expand, center, fillcolor=_fill(fill, image))


def to_grayscale(image: Any, num_output_channels: int) -> Any:
    """Luma, in one band or in three equal ones."""
    check(image)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    grey = image.convert("L")
    return grey if num_output_channels == 1 else pillow("Image").merge("RGB", (grey,) * 3)


def enhance(image: Any, what: str, factor: float) -> Any:
    """Brightness, Contrast or Color (saturation) scaled; 1 leaves the image as it is."""
    check(image)
    return getattr(pillow("ImageEnhance"), what)(image).enhance(factor)


def adjust_hue(image: Any, factor: float) -> Any:
    """Hue turned by ``factor`` of the circle."""
    check(image)
    if image.mode in ("L", "1", "I", "F"):
        return image
    hue, saturation, value = image.convert("HSV").split()
    # Hues are bytes: the sum wraps around as the circle does.
    turned = np.asarray(hue) + np.array(int(factor * 255)).astype(np.uint8)
    bands = (pillow("Image").fromarray(turned), saturation, value)
    return pillow("Image").merge("HSV", bands).convert(image.mode)


def adjust_gamma(image: Any, gamma: float, gain: float) -> Any:
    """``255 * gain * (x / 255) ** gamma`` for every band."""
    check(image)
    curve = [int((255 + 1 - 1e-3) * gain * (x / 255.0) ** gamma) for x in range(256)] * 3
    return image.convert("RGB").point(curve).convert(image.mode)
