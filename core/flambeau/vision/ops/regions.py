"""Lists of boxes per image, as the pooling operators take them."""

from __future__ import annotations

from collections.abc import Sequence

import flambeau as fb
from flambeau.tensor import Tensor


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def regions_of(op: str, input: Tensor, boxes: Tensor | Sequence[Tensor]) -> Tensor:
    """K x 5: the number of the image, and the corners.  Gradients do not flow into it.

    Args:
        op: for messages.
        input: N x C x H x W.
        boxes: K x 5 itself, or for every image L x 4.

    Raises:
        RuntimeError: other shapes, dtypes or devices.
    """
    if input.dim() != 4:
        raise RuntimeError(f"{op}: input should be N x C x H x W, got {tuple(input.shape)}")
    rows = boxes if isinstance(boxes, Tensor) else _numbered(op, input, boxes)
    if rows.dim() != 2 or rows.shape[1] != 5:
        raise RuntimeError(
            f"{op}: boxes should be K x 5 or a list of L x 4, got shape {tuple(rows.shape)}"
        )
    if rows.dtype != input.dtype or rows.device != input.device:
        raise RuntimeError(
            f"{op}: expected input and boxes to have the same dtype and device, got "
            f"{input.dtype} on {input.device} and {rows.dtype} on {rows.device}"
        )
    return rows.detach()


def _numbered(op: str, input: Tensor, boxes: Sequence[Tensor]) -> Tensor:
    if len(boxes) != input.shape[0]:
        raise RuntimeError(f"{op}: {len(boxes)} lists of boxes for {input.shape[0]} images")
    wrong = next((b for b in boxes if b.dim() != 2 or b.shape[1] != 4), None)
    if wrong is not None:
        raise RuntimeError(f"{op}: boxes of an image should be L x 4, got {tuple(wrong.shape)}")
    if not boxes:
        return input.new_zeros((0, 5))
    numbers = [fb.full_like(b[:, :1], number) for number, b in enumerate(boxes)]
    return fb.cat([fb.cat(numbers), fb.cat(list(boxes))], dim=1)
