"""Boxes, masks and keypoints drawn on images."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.tensor import Tensor
from flambeau.vision.pillow import pillow

Color = str | tuple[int, int, int]
Colors = Color | Sequence[Color] | None


def _colors(colors: Colors, count: int) -> list[tuple[int, int, int]]:
    """One of red, green and blue for each of ``count`` things; distinct ones if ``None``."""
    chosen: Sequence[Color]
    if colors is None:
        chosen = [f"hsv({n * 360 // max(count, 1)}, 100%, 100%)" for n in range(count)]
    elif isinstance(colors, list):
        if len(colors) < count:
            raise ValueError(
                f"Number of colors must be equal or larger than the number of objects, but got "
                f"{len(colors)} < {count}."
            )
        chosen = colors[:count]
    elif isinstance(colors, str) or (isinstance(colors, tuple) and len(colors) == 3):
        chosen = [colors] * count  # type: ignore[list-item]
    else:
        raise ValueError(f"`colors` must be a color or a list of them, but got {colors!r}.")
    rgb = pillow("ImageColor").getrgb
    return [rgb(c)[:3] if isinstance(c, str) else c for c in chosen]


def _picture(image: Tensor) -> Any:
    """A Pillow image of mode ``RGB``.

    Raises:
        TypeError: no tensor.
        ValueError: another dtype or shape.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"The image must be a tensor, got {type(image)}")
    if image.dtype is not fb.uint8 and not image.dtype.is_floating_point:
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.dim() != 3 or image.shape[0] not in (1, 3):
        raise ValueError(
            f"Pass one image of shape 1 x H x W or 3 x H x W, got {tuple(image.shape)}"
        )
    if image.dtype is not fb.uint8:
        image = image.mul(255).round().clamp(0, 255).to(fb.uint8)
    pixels = image.expand(3, *image.shape[1:]).permute(1, 2, 0).cpu().contiguous().numpy()
    return pillow("Image").fromarray(pixels)


def _tensor(picture: Any, like: Tensor) -> Tensor:
    pixels = fb.from_numpy(np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1)))
    if like.dtype is not fb.uint8:
        pixels = pixels.to(like.dtype) / 255
    return pixels.to(like.device)


@fb.no_grad()
def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str | None] | None = None,
    colors: Colors = None,
    fill: bool = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
) -> Tensor:
    """An image with boxes on it.

    Args:
        image: 1 x H x W or 3 x H x W, uint8 or floating with values in [0, 1].
        boxes: N x 4, corners in pixels.
        labels: text for every box.
        colors: one for all, or a list of one per box: names or red, green, blue.
        fill: cover the inside, partly transparent.
        width: of the lines.
        font: file of a TrueType font; Pillow's own if ``None``.
        font_size: in points.

    Returns:
        3 x H x W, the dtype of ``image``.

    Raises:
        TypeError: ``image`` is no tensor.
        ValueError: another dtype or shape, too few labels or colours, a box with its corners
            swapped.
    """
    picture = _picture(image)
    if (boxes[:, :2] > boxes[:, 2:]).any():
        raise ValueError("Boxes need to be in (xmin, ymin, xmax, ymax) format")
    if labels is not None and len(labels) != len(boxes):
        raise ValueError(f"The number of boxes ({len(boxes)}) and labels ({len(labels)}) mismatch.")
    pen = pillow("ImageDraw").Draw(picture, "RGBA" if fill else "RGB")
    letters = _font(font, font_size)
    shown = labels or [None] * len(boxes)
    for box, color, label in zip(
        boxes.long().tolist(), _colors(colors, len(boxes)), shown, strict=True
    ):
        pen.rectangle(box, outline=color, width=width, fill=(*color, 100) if fill else None)
        if label is not None:
            pen.text((box[0] + width + 1, box[1] + width + 1), label, fill=color, font=letters)
    return _tensor(picture, image)


def _font(font: str | None, size: int | None) -> Any:
    fonts = pillow("ImageFont")
    return fonts.load_default() if font is None else fonts.truetype(font, size or 10)


@fb.no_grad()
def draw_segmentation_masks(
    image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Colors = None
) -> Tensor:
    """An image with masks on it; where masks overlap, the last one shows.

    Args:
        image: 3 x H x W, uint8 or floating with values in [0, 1].
        masks: N x H x W or H x W, bool.
        alpha: 0 shows the image alone, 1 the colour alone.
        colors: one for all, or a list of one per mask.

    Returns:
        As ``image``.

    Raises:
        TypeError: ``image`` is no tensor.
        ValueError: another dtype or shape, too few colours.
    """
    base = _tensor(_picture(image), image)
    masks = masks[None] if masks.dim() == 2 else masks
    if masks.dtype is not fb.bool or masks.shape[1:] != image.shape[1:]:
        raise ValueError(
            f"The masks must be bool and of the image's size {tuple(image.shape[1:])}, got "
            f"{masks.dtype} of shape {tuple(masks.shape)}"
        )
    largest = 255 if image.dtype is fb.uint8 else 1
    covered = base.float()
    for mask, color in zip(masks, _colors(colors, len(masks)), strict=True):
        plane = fb.tensor(color, device=image.device, dtype=fb.float32)[:, None, None]
        covered = fb.where(mask, plane * (largest / 255), covered)
    return (base * (1 - alpha) + covered * alpha).to(image.dtype)


@fb.no_grad()
def draw_keypoints(
    image: Tensor,
    keypoints: Tensor,
    connectivity: list[tuple[int, int]] | None = None,
    colors: Color | None = None,
    radius: int = 2,
    width: int = 3,
    visibility: Tensor | None = None,
) -> Tensor:
    """An image with keypoints on it, and lines between them.

    Args:
        image: 3 x H x W, uint8 or floating with values in [0, 1].
        keypoints: N x K x 2, x and y in pixels, of N things.
        connectivity: pairs of keypoints with a line between them.
        colors: of all points; red if ``None``.
        radius: of a point.
        width: of a line.
        visibility: N x K, bool: which points to draw.

    Returns:
        As ``image``.

    Raises:
        TypeError: ``image`` is no tensor.
        ValueError: another dtype or shape.
    """
    picture = _picture(image)
    if keypoints.dim() != 3 or keypoints.shape[2] != 2:
        raise ValueError(f"keypoints must be N x K x 2, got {tuple(keypoints.shape)}")
    shown = fb.ones(keypoints.shape[:2]) if visibility is None else visibility
    if shown.shape != keypoints.shape[:2]:
        raise ValueError(f"visibility must be N x K like the keypoints, got {tuple(shown.shape)}")
    (color,) = _colors(colors or "red", 1)
    pen = pillow("ImageDraw").Draw(picture)
    for points, seen in zip(keypoints.long().tolist(), shown.bool().tolist(), strict=True):
        for (x, y), is_seen in zip(points, seen, strict=True):
            if is_seen:
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
        for start, end in connectivity or []:
            if seen[start] and seen[end]:
                pen.line((*points[start], *points[end]), fill=color, width=width)
    return _tensor(picture, image)
