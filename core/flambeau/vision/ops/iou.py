"""Intersection over union of every box with every other, and its generalisations."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import math

import flambeau as fb
from flambeau.tensor import Tensor
from flambeau.vision.ops.boxes import box_area, box_convert, widened


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """Intersection over union of every pair of boxes.

    Args:
        boxes1: N x 4.
        boxes2: M x 4.
        fmt: as for ``box_convert``.

    Returns:
        N x M.
    """
    if fmt != "xyxy":
        boxes1, boxes2 = (box_convert(boxes, fmt, "xyxy") for boxes in (boxes1, boxes2))
    shared, union = _shared_and_union(boxes1, boxes2)
    return shared / union


def _shared_and_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    low = fb.maximum(boxes1[:, None, :2], boxes2[:, :2])
    high = fb.minimum(boxes1[:, None, 2:], boxes2[:, 2:])
    shared = widened(high - low).clamp(min=0).prod(dim=2)
    return shared, box_area(boxes1)[:, None] + box_area(boxes2) - shared


def _enclosing_sides(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Width and height of the smallest box around both: N x M x 2."""
    low = fb.minimum(boxes1[:, None, :2], boxes2[:, :2])
    high = fb.maximum(boxes1[:, None, 2:], boxes2[:, 2:])
    return widened(high - low).clamp(min=0)


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Generalised IoU of every pair (Rezatofighi et al., 2019): above -1, at most 1.

    Args:
        boxes1: N x 4, as corners.
        boxes2: M x 4.

    Returns:
        N x M.
    """
    shared, union = _shared_and_union(boxes1, boxes2)
    around = _enclosing_sides(boxes1, boxes2).prod(dim=2)
    return shared / union - (around - union) / around


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """IoU less the distance of the centres, relative to the enclosing box (Zheng et al., 2020).

    Args:
        boxes1: N x 4, as corners.
        boxes2: M x 4.
        eps: added to the squared diagonal.

    Returns:
        N x M.
    """
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    diagonal = _enclosing_sides(boxes1, boxes2).square().sum(dim=2) + eps
    centres1, centres2 = ((boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (boxes1, boxes2))
    apart = (centres1[:, None] - centres2).square().sum(dim=2)
    return box_iou(boxes1, boxes2) - apart / diagonal


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """Distance IoU less a term for other proportions (Zheng et al., 2020).

    Args:
        boxes1: N x 4, as corners.
        boxes2: M x 4.
        eps: against division by zero.

    Returns:
        N x M.
    """
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    different = proportions_term(slope(boxes1)[:, None], slope(boxes2))
    with fb.no_grad():
        weight = different / (1 - box_iou(boxes1, boxes2) + different + eps)
    return distance_box_iou(boxes1, boxes2, eps) - weight * different


def slope(boxes: Tensor) -> Tensor:
    """The angle whose tangent is width by height: ... x 4 to ..., in radians."""
    return fb.atan((boxes[..., 2] - boxes[..., 0]) / (boxes[..., 3] - boxes[..., 1]))


def proportions_term(angle1: Tensor, angle2: Tensor) -> Tensor:
    """How far apart two slopes are, from 0 to 1."""
    return 4 / math.pi**2 * (angle1 - angle2).square()
