"""Between Pillow images, NumPy arrays and tensors, and between ranges of values."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

import flambeau as fb
from flambeau.tensor import Tensor
from flambeau.vision.pillow import channels_of, is_image, pillow

if TYPE_CHECKING:
    from flambeau.dtypes import dtype as Dtype

_SHORT = "I;16" if sys.byteorder == "little" else "I;16B"
_PIXEL_TYPE: dict[str, Any] = {"I": np.int32, _SHORT: np.int16, "F": np.float32}
_MODE_OF_PLANE = {"uint8": "L", "int16": _SHORT, "int32": "I", "float32": "F"}
_MODES_OF_CHANNELS = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}

_LARGEST = {
    "uint8": 255,
    "int8": 127,
    "int16": 32767,
    "uint16": 65535,
    "int32": 2147483647,
    "int64": 9223372036854775807,
}


def largest_value(dtype: Dtype) -> int:
    """What full brightness is in a dtype: 1 for floating ones."""
    return _LARGEST.get(dtype.name, 1)


def to_tensor(pic: Any) -> Tensor:
    """A Pillow image or NumPy array (H x W or H x W x C) as a tensor C x H x W.

    Bytes become floats in [0, 1]; other types keep their values.

    Raises:
        TypeError: neither an image nor an array.
        ValueError: an array that has not 2 or 3 dimensions.
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        pixels = pic[:, :, None] if pic.ndim == 2 else pic
    elif is_image(pic):
        pixels = _pixels(pic, _PIXEL_TYPE.get(pic.mode, np.uint8))
        if pic.mode == "1":
            pixels = 255 * pixels
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    planes = pixels.transpose(2, 0, 1)
    if planes.dtype != np.uint8:
        return fb.from_numpy(np.array(planes, order="C"))
    default = fb.get_default_dtype()
    if default is not fb.float32:
        return fb.from_numpy(np.array(planes, order="C")).to(default).div(255)
    # Bytes are exact in float32, so one pass converts and divides.
    return fb.from_numpy(np.divide(np.ascontiguousarray(planes), 255, dtype=np.float32))


def _pixels(image: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """A copy of the pixels, H x W x C."""
    return np.array(image, dtype).reshape(image.height, image.width, channels_of(image))


def pil_to_tensor(pic: Any) -> Tensor:
    """A Pillow image as a tensor C x H x W of the same values.

    Raises:
        TypeError: not a Pillow image.
    """
    if not is_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return fb.from_numpy(_pixels(pic, None)).permute(2, 0, 1)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C x H x W) or NumPy array (H x W x C) as a Pillow image.

    Floats are multiplied by 255 unless ``mode`` is ``"F"``.

    Args:
        pic: up to 4 channels.
        mode: Pillow's name of the pixel format; found from dtype and channels if ``None``.

    Raises:
        TypeError: another type, or a dtype that Pillow has no pixels for.
        ValueError: a wrong number of dimensions or channels, or a mode that does not fit.
    """
    pixels = _rows_of_pixels(pic)
    if pixels.dtype.kind == "f" and mode != "F":
        with np.errstate(invalid="ignore"):
            pixels = (pixels * 255).astype(np.int64).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
        expected = _MODE_OF_PLANE.get(pixels.dtype.name)
        if mode is not None and mode != expected:
            raise ValueError(
                f"Incorrect mode ({mode}) supplied for input type {pixels.dtype}. "
                f"Should be {expected}"
            )
        mode = expected
    else:
        mode = _mode_of_channels(pixels, mode)
    if mode is None:
        raise TypeError(f"Input type {pixels.dtype} is not supported")
    return _image_of(pixels, mode)


def _rows_of_pixels(pic: Any) -> np.ndarray[Any, Any]:
    pixels: np.ndarray[Any, Any]
    if isinstance(pic, Tensor):
        host = pic.detach().cpu()
        pixels = (host.permute(1, 2, 0) if pic.ndim == 3 else host).numpy()
    elif isinstance(pic, np.ndarray):
        pixels = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3:
        raise ValueError(f"pic should be 2/3 dimensional. Got {pixels.ndim} dimensions.")
    if pixels.shape[2] > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {pixels.shape[2]} channels.")
    return np.asarray(pixels)


def _mode_of_channels(pixels: np.ndarray[Any, Any], mode: str | None) -> str | None:
    channels = pixels.shape[2]
    permitted = _MODES_OF_CHANNELS[channels]
    if mode is not None and mode not in permitted:
        raise ValueError(f"Only modes {permitted} are supported for {channels}D inputs")
    return permitted[0] if mode is None and pixels.dtype == np.uint8 else mode


def _image_of(pixels: np.ndarray[Any, Any], mode: str) -> Any:
    # Not fromarray(mode=...), which Pillow deprecates: bytes and a mode say it as well.
    height, width = pixels.shape[:2]
    return pillow("Image").frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())


def convert_image_dtype(image: Tensor, dtype: Dtype | None = None) -> Tensor:
    """A tensor image in another dtype, its values scaled to the range of that dtype.

    Integers use the whole range up to their largest value, floats [0, 1].

    Args:
        image: any shape.
        dtype: float32 if ``None``.

    Raises:
        RuntimeError: floats do not hold enough digits for the integer type.
        TypeError: not a tensor.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"Input img should be Tensor Image. Got {type(image)}")
    target = fb.float32 if dtype is None else dtype
    source = image.dtype
    if source is target:
        return image
    if source.is_floating_point:
        if target.is_floating_point:
            return image.to(target)
        return _float_to_integer(image, target)
    if target.is_floating_point:
        return image.to(target) / float(largest_value(source))
    return _integer_to_integer(image, target)


def _float_to_integer(image: Tensor, target: Dtype) -> Tensor:
    too_wide = (fb.int32, fb.int64) if image.dtype is fb.float32 else (fb.int64,)
    if target in too_wide and image.dtype in (fb.float32, fb.float64):
        raise RuntimeError(f"The cast from {image.dtype} to {target} cannot be performed safely.")
    # Just under one more than the largest: every integer gets an equal share of [0, 1].
    scaled: Tensor = image.mul(largest_value(target) + 1.0 - 1e-3)
    return scaled.to(target)


def _integer_to_integer(image: Tensor, target: Dtype) -> Tensor:
    held, wanted = largest_value(image.dtype) + 1, largest_value(target) + 1
    if held > wanted:
        narrowed: Tensor = fb.div(image, held // wanted, rounding_mode="floor")
        return narrowed.to(target)
    return image.to(target) * (wanted // held)
