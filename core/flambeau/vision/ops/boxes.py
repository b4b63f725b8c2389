"""Boxes: other forms of them, their areas, clipping to an image, boxes around masks."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import flambeau as fb
from flambeau.tensor import Tensor

FORMATS = ("xyxy", "xywh", "cxcywh")


def widened(values: Tensor) -> Tensor:
    """In a dtype in which products of coordinates neither overflow nor lose much."""
    if values.dtype.is_floating_point:
        return values if values.dtype in (fb.float32, fb.float64) else values.float()
    return values if values.dtype in (fb.int32, fb.int64) else values.int()


def _check_format(name: str) -> None:
    if name not in FORMATS:
        raise ValueError(f"Unsupported box format {name!r}: it is one of {', '.join(FORMATS)}")


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes in another form.

    Args:
        boxes: ... x 4, in pixels.
        in_fmt: ``"xyxy"`` (two corners), ``"xywh"`` (upper left corner and size) or ``"cxcywh"``
            (centre and size).
        out_fmt: likewise.

    Returns:
        ... x 4, a new tensor.

    Raises:
        ValueError: another form.
    """
    _check_format(in_fmt)
    _check_format(out_fmt)
    if in_fmt == out_fmt:
        return boxes.clone()
    return _from_corners(_to_corners(boxes, in_fmt), out_fmt)


def _to_corners(boxes: Tensor, form: str) -> Tensor:
    if form == "xyxy":
        return boxes
    x, y, width, height = boxes.unbind(-1)
    if form == "cxcywh":
        left, top = x - 0.5 * width, y - 0.5 * height
        return fb.stack([left, top, x + 0.5 * width, y + 0.5 * height], dim=-1)
    return fb.stack([x, y, x + width, y + height], dim=-1)


def _from_corners(boxes: Tensor, form: str) -> Tensor:
    if form == "xyxy":
        return boxes
    x1, y1, x2, y2 = boxes.unbind(-1)
    if form == "cxcywh":
        return fb.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=-1)
    return fb.stack([x1, y1, x2 - x1, y2 - y1], dim=-1)


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """Areas of boxes.

    Args:
        boxes: ... x 4.
        fmt: as for ``box_convert``.

    Returns:
        The shape of ``boxes`` without its last dimension.

    Raises:
        ValueError: another form.
    """
    _check_format(fmt)
    boxes = widened(boxes)
    if fmt == "xyxy":
        return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return boxes[..., 2] * boxes[..., 3]


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes cut where they leave an image.

    Args:
        boxes: ... x 4, as corners.
        size: height and width of the image.

    Returns:
        As ``boxes``.
    """
    height, width = size
    x = boxes[..., 0::2].clamp(min=0, max=width)
    y = boxes[..., 1::2].clamp(min=0, max=height)
    return fb.stack([x, y], dim=-1).reshape(boxes.shape)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Indices of the boxes with both sides of at least ``min_size``.

    Args:
        boxes: N x 4, as corners.
        min_size: in pixels.

    Returns:
        int64, one-dimensional.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides >= min_size).all(dim=1).nonzero().squeeze(1)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The smallest boxes around masks.

    Args:
        masks: N x H x W; what is not zero belongs to the mask.

    Returns:
        N x 4, float32: the corners, both inside of the mask.

    Raises:
        RuntimeError: a mask is empty.
    """
    if masks.numel() == 0:
        return fb.zeros((0, 4), device=masks.device, dtype=fb.float32)
    inside = masks != 0
    columns, rows = inside.any(dim=1), inside.any(dim=2)
    empty = (~rows.any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise RuntimeError(f"masks_to_boxes: a box needs a pixel, but masks {empty} have none")
    (left, right), (top, bottom) = _first_and_last(columns), _first_and_last(rows)
    return fb.stack([left, top, right, bottom], dim=1).float()


def _first_and_last(line: Tensor) -> tuple[Tensor, Tensor]:
    """Of every row of an N x L bool tensor the first and the last place that is true."""
    numbers = line.int()
    return numbers.argmax(dim=1), line.shape[1] - 1 - numbers.flip(1).argmax(dim=1)
