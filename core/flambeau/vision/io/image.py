"""JPEG, PNG and Pillow's other formats to tensors and back."""

from __future__ import annotations

import enum
import io
from pathlib import Path
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.tensor import Tensor
from flambeau.vision.pillow import pillow


class ImageReadMode(enum.Enum):
    """Which channels a decoded image has."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_PILLOW_MODES = {
    ImageReadMode.GRAY: "L",
    ImageReadMode.GRAY_ALPHA: "LA",
    ImageReadMode.RGB: "RGB",
    ImageReadMode.RGB_ALPHA: "RGBA",
}
_KEPT = {"L", "LA", "RGB", "RGBA", "CMYK", "I;16"}


def read_file(path: str | Path) -> Tensor:
    """The bytes of a file: uint8, one-dimensional."""
    return _bytes_to_tensor(Path(path).read_bytes())


def write_file(filename: str | Path, data: Tensor) -> None:
    """Write a one-dimensional uint8 tensor as the bytes of a file.

    Raises:
        RuntimeError: another dtype or shape.
    """
    Path(filename).write_bytes(_tensor_to_bytes("write_file", data))


def _bytes_to_tensor(content: bytes) -> Tensor:
    return fb.from_numpy(np.frombuffer(content, np.uint8).copy())


def _tensor_to_bytes(op: str, data: Tensor) -> bytes:
    if data.dtype is not fb.uint8 or data.dim() != 1:
        raise RuntimeError(
            f"{op}: expected a one-dimensional uint8 tensor, got {data.dtype} of shape "
            f"{tuple(data.shape)}"
        )
    return bytes(data.cpu().numpy().tobytes())


def decode_image(
    input: Tensor | str | Path,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """An image of any format that Pillow reads.

    Args:
        input: the bytes of a file (uint8, one-dimensional), or its path.
        mode: the channels wanted, as a member or by its name.
        apply_exif_orientation: turn the image as its EXIF data say.

    Returns:
        C x H x W, uint8 (uint16 for unchanged grey images of 16 bits).

    Raises:
        RuntimeError: these bytes are no image, or a damaged one.
        ValueError: another mode.
    """
    return _decode("decode_image", input, mode, apply_exif_orientation, None)


def decode_jpeg(
    input: Tensor,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """``decode_image`` for JPEG alone."""
    return _decode("decode_jpeg", input, mode, apply_exif_orientation, ["JPEG"])


def decode_png(
    input: Tensor,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """``decode_image`` for PNG alone."""
    return _decode("decode_png", input, mode, apply_exif_orientation, ["PNG"])


def read_image(
    path: str | Path,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """``decode_image`` of a file."""
    return _decode("read_image", path, mode, apply_exif_orientation, None)


def _decode(
    op: str,
    source: Tensor | str | Path,
    mode: ImageReadMode | str,
    upright: bool,
    formats: list[str] | None,
) -> Tensor:
    mode = _mode(mode)
    if isinstance(source, Tensor):
        content = _tensor_to_bytes(op, source)
    else:
        content = Path(source).read_bytes()
    try:
        image = pillow("Image").open(io.BytesIO(content), formats=formats)
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise RuntimeError(f"{op}: these bytes cannot be decoded: {error}") from error
    if upright:
        image = pillow("ImageOps").exif_transpose(image)
    pixels = np.array(_converted(image, mode))
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return fb.from_numpy(np.ascontiguousarray(planes))


def _mode(mode: ImageReadMode | str) -> ImageReadMode:
    if isinstance(mode, ImageReadMode):
        return mode
    name = {"RGBA": "RGB_ALPHA"}.get(mode.upper(), mode.upper())
    if name not in ImageReadMode.__members__:
        raise ValueError(f"mode {mode!r} is none of {', '.join(ImageReadMode.__members__)}")
    return ImageReadMode[name]


def _converted(image: Any, mode: ImageReadMode) -> Any:
    if mode is not ImageReadMode.UNCHANGED:
        return image.convert(_PILLOW_MODES[mode])
    if image.mode in _KEPT:
        return image
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if "transparency" in image.info else "RGB")


def encode_png(input: Tensor, compression_level: int = 6) -> Tensor:
    """An image as the bytes of a PNG file.

    Args:
        input: C x H x W, uint8, of 1 or 3 channels.
        compression_level: from 0 (none) to 9.

    Returns:
        uint8, one-dimensional.

    Raises:
        RuntimeError: another dtype, shape or level.
    """
    if not 0 <= compression_level <= 9:
        raise RuntimeError("Compression level should be between 0 and 9")
    return _encode("encode_png", input, "PNG", compress_level=compression_level)


def encode_jpeg(input: Tensor, quality: int = 75) -> Tensor:
    """An image as the bytes of a JPEG file.

    Args:
        input: C x H x W, uint8, of 1 or 3 channels.
        quality: from 1 to 100.

    Returns:
        uint8, one-dimensional.

    Raises:
        ValueError: another quality.
        RuntimeError: another dtype or shape.
    """
    if not 1 <= quality <= 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    return _encode("encode_jpeg", input, "JPEG", quality=quality)


def _encode(op: str, image: Tensor, form: str, **options: int) -> Tensor:
    if image.dtype is not fb.uint8 or image.dim() != 3 or image.shape[0] not in (1, 3):
        raise RuntimeError(
            f"{op}: expected a uint8 tensor of shape 1 x H x W or 3 x H x W, got {image.dtype} of "
            f"shape {tuple(image.shape)}"
        )
    pixels = image[0] if image.shape[0] == 1 else image.permute(1, 2, 0)
    held = io.BytesIO()
    picture = pillow("Image").fromarray(pixels.cpu().contiguous().numpy())
    picture.save(held, format=form, **options)
    return _bytes_to_tensor(held.getvalue())


def write_png(input: Tensor, filename: str | Path, compression_level: int = 6) -> None:
    """Write an image as ``encode_png`` gives it."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: Tensor, filename: str | Path, quality: int = 75) -> None:
    """Write an image as ``encode_jpeg`` gives it."""
    write_file(filename, encode_jpeg(input, quality))
