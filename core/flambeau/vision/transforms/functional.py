"""Transforms as functions of an image: a Pillow image or a tensor (..., C, H, W).

Factors, angles and boxes are arguments here; the classes of ``flambeau.vision.transforms`` draw
them at random.
"""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

from flambeau.tensor import Tensor
from flambeau.vision.transforms import pil, tensor_image, warp
from flambeau.vision.transforms.convert import (
    convert_image_dtype,
    pil_to_tensor,
    to_pil_image,
    to_tensor,
)
from flambeau.vision.transforms.interpolation import (
    PILLOW_NUMBER,
    InterpolationMode,
    interpolation_mode,
)

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "affine",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "erase",
    "five_crop",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "normalize",
    "pad",
    "pil_to_tensor",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

Size = int | Sequence[int]
Interpolation = InterpolationMode | int


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width."""
    return tensor_image.get_dimensions(img) if isinstance(img, Tensor) else pil.get_dimensions(img)


def get_image_size(img: Any) -> list[int]:
    """Width and height."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """Number of channels."""
    return get_dimensions(img)[0]


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """``(x - mean) / std`` for every channel of a floating tensor image.

    Raises:
        TypeError: not a tensor, or not floating.
        ValueError: fewer than 3 dimensions, or a ``std`` that is 0.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    return tensor_image.normalize(tensor, mean, std, inplace)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return tensor_image.hflip(img) if isinstance(img, Tensor) else pil.hflip(img)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    return tensor_image.vflip(img) if isinstance(img, Tensor) else pil.vflip(img)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A rectangle of the image; black where it leaves it."""
    kernel = tensor_image.crop if isinstance(img, Tensor) else pil.crop
    return kernel(img, top, left, height, width)


def pair_of(size: Any, message: str) -> tuple[int, int]:
    """Height and width from one number or from one or two.

    Raises:
        ValueError: another count.
    """
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size[0], size[1]


_TWO_DIMENSIONS = "Please provide only two dimensions (h, w) for size."


def center_crop(img: Any, output_size: Size) -> Any:
    """The middle of the image; padded with black if the image is smaller."""
    height, width = pair_of(output_size, _TWO_DIMENSIONS)
    _, rows, columns = get_dimensions(img)
    if height > rows or width > columns:
        below, beside = max(height - rows, 0), max(width - columns, 0)
        img = pad(img, [beside // 2, below // 2, (beside + 1) // 2, (below + 1) // 2])
        _, rows, columns = get_dimensions(img)
    return crop(img, round((rows - height) / 2.0), round((columns - width) / 2.0), height, width)


def _corner_boxes(img: Any, size: Size) -> list[tuple[int, int, int, int]]:
    height, width = pair_of(size, _TWO_DIMENSIONS)
    _, rows, columns = get_dimensions(img)
    if height > rows or width > columns:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(rows, columns)}")
    return [
        (top, left, height, width) for top in (0, rows - height) for left in (0, columns - width)
    ]


def five_crop(img: Any, size: Size) -> tuple[Any, ...]:
    """The four corners (top left, top right, bottom left, bottom right) and the middle.

    Raises:
        ValueError: the image is smaller than the crops.
    """
    corners = [crop(img, *box) for box in _corner_boxes(img, size)]
    return (*corners, center_crop(img, size))


def ten_crop(img: Any, size: Size, vertical_flip: bool = False) -> tuple[Any, ...]:
    """``five_crop`` of the image and of its mirror image."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def pad(img: Any, padding: Size, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Pixels added around the image.

    Args:
        img: the image.
        padding: one number; two, for left and right, top and bottom; or four, for left, top,
            right, bottom.  Negative ones crop.
        fill: value of the new pixels in mode "constant"; one, or for Pillow images one per band.
        padding_mode: "constant", "edge", "reflect" or "symmetric".

    Raises:
        TypeError: for a wrong type of an argument.
        ValueError: for a wrong count or an unknown mode.
    """
    check_pad_arguments(padding, fill, padding_mode)
    values = [padding] if isinstance(padding, int) else list(padding)
    left, top, right, bottom = (values * (4 // len(values)))[:4]
    kernel: Any = tensor_image.pad if isinstance(img, Tensor) else pil.pad
    return kernel(img, (left, top, right, bottom), fill, padding_mode)


def check_pad_arguments(padding: Any, fill: Any, padding_mode: Any) -> None:
    """Raise TypeError or ValueError for arguments that ``pad`` does not take."""
    if not isinstance(padding, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if not isinstance(fill, (numbers.Number, tuple, list, type(None))):
        raise TypeError("Got inappropriate fill arg")
    if not isinstance(padding_mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if padding_mode not in _PADDING_MODES:
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    if isinstance(padding, (tuple, list)) and len(padding) not in (1, 2, 4):
        raise ValueError(
            "Padding must be an int or a 1, 2, or 4 element tuple, not a "
            f"{len(padding)} element tuple"
        )


def resize(
    img: Any,
    size: Size,
    interpolation: Interpolation = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The image scaled.

    Args:
        img: the image.
        size: height and width, or the length of the shorter side.
        interpolation: tensors take nearest, nearest-exact, bilinear and bicubic.
        max_size: limit of the longer side; only when the shorter one is given.
        antialias: smooth when shrinking a tensor; Pillow always does.

    Raises:
        ValueError: sizes that contradict each other, or a mode that tensors do not have.
    """
    mode = interpolation_mode(interpolation)
    wanted = [size] if isinstance(size, int) else list(size)
    if len(wanted) not in (1, 2):
        raise ValueError(
            "Size must be an int or a 1 or 2 element tuple/list, not a "
            f"{len(wanted)} element tuple/list"
        )
    if max_size is not None and len(wanted) != 1:
        raise ValueError(
            "max_size should only be passed if size specifies the length of the smaller edge, "
            "i.e. size should be an int or a sequence of length 1"
        )
    _, height, width = get_dimensions(img)
    new_size = wanted if len(wanted) == 2 else _scaled_size(height, width, wanted[0], max_size)
    if [height, width] == new_size:
        return img
    if isinstance(img, Tensor):
        return tensor_image.resize(img, new_size, mode.value, antialias)
    if antialias is False:
        warnings.warn(
            "Anti-alias option is always applied for PIL Image input. Argument antialias is "
            "ignored.",
            stacklevel=2,
        )
    return pil.resize(img, new_size, PILLOW_NUMBER[mode])


def _scaled_size(height: int, width: int, new_short: int, max_size: int | None) -> list[int]:
    short, long = sorted((height, width))
    new_long = int(new_short * long / short)
    if max_size is not None:
        if max_size <= new_short:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the "
                f"smaller edge size = {new_short}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return [new_long, new_short] if width <= height else [new_short, new_long]


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Size,
    interpolation: Interpolation = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A rectangle of the image, scaled to ``size``."""
    return resize(crop(img, top, left, height, width), size, interpolation, None, antialias)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 is black, 1 the image, 2 twice as bright."""
    if isinstance(img, Tensor):
        return tensor_image.adjust_brightness(img, brightness_factor)
    return pil.enhance(img, "Brightness", brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 is grey, 1 the image, 2 twice the contrast."""
    if isinstance(img, Tensor):
        return tensor_image.adjust_contrast(img, contrast_factor)
    return pil.enhance(img, "Contrast", contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 is black and white, 1 the image, 2 twice the saturation."""
    if isinstance(img, Tensor):
        return tensor_image.adjust_saturation(img, saturation_factor)
    return pil.enhance(img, "Color", saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Hues turned by ``hue_factor`` of the colour circle, within [-0.5, 0.5].

    Raises:
        ValueError: a factor outside of that.
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if isinstance(img, Tensor):
        return tensor_image.adjust_hue(img, hue_factor)
    pil.check(img)
    return pil.adjust_hue(img, hue_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """``gain * x ** gamma`` with x in [0, 1]: below 1 lightens dark parts.

    Raises:
        ValueError: a negative gamma.
    """
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    if isinstance(img, Tensor):
        return tensor_image.adjust_gamma(img, gamma, gain)
    pil.check(img)
    return pil.adjust_gamma(img, gamma, gain)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A Pillow image in grey.

    Raises:
        TypeError: not a Pillow image; ``rgb_to_grayscale`` takes tensors too.
    """
    if isinstance(img, Tensor):
        raise TypeError("Input should be PIL Image")
    return pil.to_grayscale(img, num_output_channels)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The image in grey, with one channel or three equal ones."""
    kernel = tensor_image.to_grayscale if isinstance(img, Tensor) else pil.to_grayscale
    return kernel(img, num_output_channels)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """A rectangle from row ``i``, column ``j``, of ``h`` x ``w``, overwritten by ``v``.

    Raises:
        TypeError: not a tensor.
    """
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    return tensor_image.erase(img, i, j, h, w, v, inplace)


def _tensor_fill(fill: Any) -> list[float] | None:
    if fill is None or isinstance(fill, (list, tuple)):
        return fill if fill is None else [float(value) for value in fill]
    return [float(fill)]


def _check_warp(img: Tensor, mode: InterpolationMode, fill: list[float] | None) -> None:
    channels = get_dimensions(img)[0]
    if fill is not None and len(fill) not in (1, channels):
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of "
            f"the image ({len(fill)} != {channels})"
        )
    if mode not in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        raise ValueError(f"Interpolation mode '{mode.value}' is unsupported with Tensor input")


def _from_middle(center: Sequence[float] | None, width: int, height: int) -> list[float]:
    if center is None:
        return [0.0, 0.0]
    return [center[0] - width * 0.5, center[1] - height * 0.5]


def _check_geometry(angle: Any, center: Any) -> None:
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")


def rotate(
    img: Any,
    angle: float,
    interpolation: Interpolation = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Any:
    """The image turned counter-clockwise.

    Args:
        img: the image.
        angle: degrees.
        interpolation: tensors take nearest and bilinear.
        expand: make the output as large as the turned image; for a turn about the middle.
        center: x and y of the fixed point from the upper left corner; the middle if ``None``.
        fill: what is outside of the image; one value, or one per channel.
    """
    mode = interpolation_mode(interpolation)
    _check_geometry(angle, center)
    if not isinstance(img, Tensor):
        return pil.rotate(img, angle, PILLOW_NUMBER[mode], expand, center, fill)
    values = _tensor_fill(fill)
    _check_warp(img, mode, values)
    _, height, width = get_dimensions(img)
    middle = _from_middle(center, width, height)
    matrix = warp.inverse_affine_matrix(middle, -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    size = warp.expanded_size(matrix, width, height) if expand else None
    return warp.affine(img, matrix, mode.value, values, size)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: Interpolation = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:
    """The image turned, shifted, scaled and sheared.

    Args:
        img: the image.
        angle: degrees, clockwise.
        translate: pixels in x and y, after the rest.
        scale: factor, above 0.
        shear: degrees in x, or in x and y.
        interpolation: tensors take nearest and bilinear.
        fill: what is outside of the image; one value, or one per channel.
        center: x and y of the fixed point from the upper left corner; the middle if ``None``.

    Raises:
        TypeError: for a wrong type of an argument.
        ValueError: for a wrong length, or a scale of 0 or below.
    """
    mode = interpolation_mode(interpolation)
    _check_geometry(angle, center)
    shears = _check_affine(translate, scale, shear)
    _, height, width = get_dimensions(img)
    if isinstance(img, Tensor):
        values = _tensor_fill(fill)
        _check_warp(img, mode, values)
        middle = _from_middle(center, width, height)
        matrix = warp.inverse_affine_matrix(middle, angle, translate, scale, shears)
        return warp.affine(img, matrix, mode.value, values)
    fixed = (width * 0.5, height * 0.5) if center is None else center
    matrix = warp.inverse_affine_matrix(fixed, angle, translate, scale, shears)
    return pil.affine(img, matrix, PILLOW_NUMBER[mode], fill)


def _check_affine(translate: Any, scale: float, shear: Any) -> list[float]:
    """The shears in x and y."""
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    values: list[float] = list(shear) if isinstance(shear, (list, tuple)) else [shear, 0.0]  # type: ignore[list-item]
    if len(values) == 1:
        values *= 2
    if len(values) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {values}")
    return values
