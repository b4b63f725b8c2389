"""The transforms of tensor images: (..., C, H, W), or H x W where channels do not matter."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import flambeau as fb
from flambeau.tensor import Tensor
from flambeau.vision.transforms import resample
from flambeau.vision.transforms.convert import convert_image_dtype, largest_value

if TYPE_CHECKING:
    from flambeau.device import device as Device
    from flambeau.dtypes import dtype as Dtype

# Weights of the luma of ITU-R BT.601, as torchvision rounds them.
_LUMA = (0.2989, 0.587, 0.114)


def check(image: Tensor) -> None:
    """Raise TypeError for a tensor that cannot be an image."""
    if image.ndim < 2:
        raise TypeError(
            f"Tensor is not a torch image: it has {image.ndim} dimensions, not 2 or more."
        )


def get_dimensions(image: Tensor) -> list[int]:
    """Channels, height, width."""
    check(image)
    return [1 if image.ndim == 2 else image.shape[-3], *image.shape[-2:]]


def check_channels(image: Tensor, *permitted: int) -> None:
    """Raise TypeError for another number of channels."""
    channels = get_dimensions(image)[0]
    if channels not in permitted:
        raise TypeError(
            f"Input image tensor permitted channel values are {list(permitted)}, "
            f"but found {channels}"
        )


def hflip(image: Tensor) -> Tensor:
    """Left and right exchanged."""
    check(image)
    return image.flip(-1)


def vflip(image: Tensor) -> Tensor:
    """Top and bottom exchanged."""
    check(image)
    return image.flip(-2)


def crop(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A rectangle; 0 where it leaves the image."""
    check(image)
    rows, columns = image.shape[-2:]
    bottom, right = top + height, left + width
    inside = image[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left >= 0 and top >= 0 and right <= columns and bottom <= rows:
        return inside
    margins = [
        max(min(right, 0) - left, 0),
        max(min(bottom, 0) - top, 0),
        max(right - max(columns, left), 0),
        max(bottom - max(rows, top), 0),
    ]
    return pad(inside, margins, 0, "constant")


def pad(image: Tensor, padding: Sequence[int], fill: float | None, mode: str) -> Tensor:
    """Pixels added at left, top, right, bottom (negative: removed)."""
    check(image)
    left, top, right, bottom = padding
    if mode != "constant":
        rows = _padded_positions(image.shape[-2], top, bottom, mode)
        columns = _padded_positions(image.shape[-1], left, right, mode)
        return image.index_select(-2, rows).index_select(-1, columns)
    if not isinstance(fill, (int, float, type(None))):
        raise TypeError("Got inappropriate fill arg: a tensor image is padded with one number")
    height, width = image.shape[-2] + top + bottom, image.shape[-1] + left + right
    out = image.new_full((*image.shape[:-2], height, width), fill or 0)
    kept = image[
        ...,
        max(-top, 0) : image.shape[-2] - max(-bottom, 0),
        max(-left, 0) : image.shape[-1] - max(-right, 0),
    ]
    row, column = max(top, 0), max(left, 0)
    out[..., row : row + kept.shape[-2], column : column + kept.shape[-1]] = kept
    return out


def _padded_positions(length: int, before: int, after: int, mode: str) -> Tensor:
    """Which input index is shown at every output index."""
    kept = np.arange(max(-before, 0), length - max(-after, 0))
    numpy_mode: Any = mode
    return fb.from_numpy(np.pad(kept, (max(before, 0), max(after, 0)), mode=numpy_mode))


def resize(image: Tensor, size: Sequence[int], mode: str, antialias: bool | None) -> Tensor:
    """Scaled to ``(height, width)``.

    Raises:
        ValueError: for a mode that tensors do not have.
    """
    check(image)
    if mode not in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        raise ValueError(f"Interpolation mode '{mode}' is unsupported with Tensor input")
    height, width = size
    if mode.startswith("nearest"):
        return resample.resize(image, (height, width), mode, antialias=False)
    is_float = image.dtype.is_floating_point
    work = image if is_float else image.to(fb.float32)
    scaled = resample.resize(work, (height, width), mode, bool(antialias))
    if is_float:
        return scaled
    if image.dtype is fb.uint8:
        scaled = scaled.clamp(0, 255)
    return fb.round(scaled).to(image.dtype)


def erase(image: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool) -> Tensor:
    """A rectangle overwritten by ``v``."""
    check(image)
    out = image if inplace else image.clone()
    out[..., i : i + h, j : j + w] = v
    return out


def normalize(image: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool) -> Tensor:
    """``(x - mean) / std`` per channel.

    Raises:
        TypeError: not floating.
        ValueError: fewer than 3 dimensions, or a ``std`` of 0 in the dtype of the image.
    """
    check(image)
    if not image.dtype.is_floating_point:
        raise TypeError(f"Input tensor should be a float tensor. Got {image.dtype}.")
    if image.ndim < 3:
        raise ValueError(
            "Expected tensor to be a tensor image of size (..., C, H, W). "
            f"Got tensor.size() = {image.size()}"
        )
    center, spread = _center_and_spread(_hashable(mean), _hashable(std), image.dtype, image.device)
    channels = image.shape[-3]
    for name, values in (("mean", center), ("std", spread)):
        if values.ndim == 3 and values.shape[0] not in (1, channels):
            raise RuntimeError(
                f"normalize: {name} has {values.shape[0]} values and the image {channels} channels "
                f"(shape {tuple(image.shape)})"
            )
    return image.sub_(center).div_(spread) if inplace else image.sub(center).div_(spread)


def _hashable(values: Any) -> Any:
    """Numbers, nested as they were, as tuples."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    return tuple(map(_hashable, values)) if isinstance(values, (list, tuple)) else values


@functools.lru_cache(maxsize=64)
def _center_and_spread(mean: Any, std: Any, dtype: Dtype, device: Device) -> tuple[Tensor, Tensor]:
    """Both as tensors that broadcast over an image; a dataset asks for the same again and again."""
    tensors = [fb.as_tensor(values, dtype=dtype, device=device) for values in (mean, std)]
    center, spread = (t.view(-1, 1, 1) if t.ndim == 1 else t for t in tensors)
    if bool((spread == 0).any()):
        raise ValueError(
            f"std evaluated to zero after conversion to {dtype}, leading to division by zero."
        )
    return center, spread


def to_grayscale(image: Tensor, num_output_channels: int) -> Tensor:
    """Luma, in one channel or in three equal ones."""
    if image.ndim < 3:
        raise TypeError(
            f"Input image tensor should have at least 3 dimensions, but found {image.ndim}"
        )
    check_channels(image, 1, 3)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    grey = _luma(image) if image.shape[-3] == 3 else image.clone()
    if num_output_channels == 3:
        return grey.expand(*image.shape[:-3], 3, *image.shape[-2:])
    return grey


def _luma(image: Tensor) -> Tensor:
    red, green, blue = image.unbind(dim=-3)
    weighted: Tensor = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return weighted.to(image.dtype).unsqueeze(-3)


def _blend(image: Tensor, other: Tensor, share: float) -> Tensor:
    """``share`` of the image and the rest of the other, within the range of the dtype."""
    mixed: Tensor = share * image + (1.0 - share) * other
    return mixed.clamp(0, largest_value(image.dtype)).to(image.dtype)


def _check_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def adjust_brightness(image: Tensor, factor: float) -> Tensor:
    """Blended with black: 0 is black, 1 the image."""
    _check_factor("brightness_factor", factor)
    check_channels(image, 1, 3)
    return _blend(image, fb.zeros_like(image), float(factor))


def adjust_contrast(image: Tensor, factor: float) -> Tensor:
    """Blended with the mean grey: 0 is grey, 1 the image."""
    _check_factor("contrast_factor", factor)
    check_channels(image, 1, 3)
    grey = _luma(image) if get_dimensions(image)[0] == 3 else image
    dims = (-3, -2, -1) if image.ndim > 2 else (-2, -1)
    mean = grey.to(image.dtype if image.dtype.is_floating_point else fb.float32).mean(
        dim=dims, keepdim=True
    )
    return _blend(image, mean, float(factor))


def adjust_saturation(image: Tensor, factor: float) -> Tensor:
    """Blended with its own grey: 0 is grey, 1 the image."""
    _check_factor("saturation_factor", factor)
    check_channels(image, 1, 3)
    if get_dimensions(image)[0] == 1:
        return image
    return _blend(image, _luma(image), float(factor))


def adjust_hue(image: Tensor, factor: float) -> Tensor:
    """Hue turned by ``factor`` of the circle."""
    check_channels(image, 1, 3)
    if get_dimensions(image)[0] == 1:
        return image
    colours = image if image.dtype.is_floating_point else convert_image_dtype(image, fb.float32)
    return convert_image_dtype(_turn_hue(colours, factor), image.dtype)


def _turn_hue(image: Tensor, factor: float) -> Tensor:
    """Through hue, saturation, value (Smith, 1978) and back."""
    red, green, blue = image.unbind(dim=-3)
    value, low = image.amax(dim=-3), image.amin(dim=-3)
    spread = value - low
    divisor = fb.where(spread == 0, fb.ones_like(spread), spread)
    # Position on the circle in sixths, from the channel that is largest.
    sixths = fb.where(
        value == red,
        (green - blue) / divisor,
        fb.where(value == green, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor),
    )
    hue = fb.remainder(sixths / 6.0 + factor, 1.0) * 6.0
    channels = []
    for origin in (5.0, 3.0, 1.0):  # where on the circle red, green and blue start to fall
        distance = fb.remainder(hue + origin, 6.0)
        drop = fb.minimum(distance, 4.0 - distance).clamp(0.0, 1.0)
        channels.append(value - spread * drop)
    return fb.stack(channels, dim=-3)


def adjust_gamma(image: Tensor, gamma: float, gain: float) -> Tensor:
    """``gain * x ** gamma`` with x in [0, 1]."""
    check_channels(image, 1, 3)
    bright = image if image.dtype.is_floating_point else convert_image_dtype(image, fb.float32)
    return convert_image_dtype((gain * bright.pow(gamma)).clamp(0, 1), image.dtype)
