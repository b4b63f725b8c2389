"""Losses of predicted boxes against true ones, and the focal loss of their classes."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import flambeau as fb
from flambeau.nn import functional as F
from flambeau.tensor import Tensor
from flambeau.vision.ops.boxes import box_area, widened
from flambeau.vision.ops.iou import proportions_term, slope


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    """As the argument ``reduction`` says; the mean of nothing is 0."""
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction}'. "
        "Supported reduction modes: 'none', 'mean', 'sum'"
    )


def _corners(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of the intersection, then of the enclosing box: upper left, lower right."""
    return (
        fb.maximum(boxes1[..., :2], boxes2[..., :2]),
        fb.minimum(boxes1[..., 2:], boxes2[..., 2:]),
        fb.minimum(boxes1[..., :2], boxes2[..., :2]),
        fb.maximum(boxes1[..., 2:], boxes2[..., 2:]),
    )


def _shared_and_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    low, high, _, _ = _corners(boxes1, boxes2)
    overlap = (high > low).all(dim=-1)
    shared = fb.where(overlap, (high - low).prod(dim=-1), 0.0)
    return shared, box_area(boxes1) + box_area(boxes2) - shared


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - generalised IoU of each pair (Rezatofighi et al., 2019).

    Args:
        boxes1: N x 4 or 4, as corners.
        boxes2: the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        eps: against division by zero.

    Raises:
        ValueError: another reduction.
    """
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    shared, union = _shared_and_union(boxes1, boxes2)
    _, _, low, high = _corners(boxes1, boxes2)
    around = (high - low).prod(dim=-1)
    return _reduced(1 - shared / (union + eps) + (around - union) / (around + eps), reduction)


def _distance_loss(boxes1: Tensor, boxes2: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The loss, and the IoU in it."""
    shared, union = _shared_and_union(boxes1, boxes2)
    iou = shared / (union + eps)
    _, _, low, high = _corners(boxes1, boxes2)
    diagonal = (high - low).square().sum(dim=-1) + eps
    doubled = boxes1[..., :2] + boxes1[..., 2:] - boxes2[..., :2] - boxes2[..., 2:]
    return 1 - iou + (doubled / 2).square().sum(dim=-1) / diagonal, iou


def distance_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - distance IoU of each pair (Zheng et al., 2020); arguments as the generalised one."""
    return _reduced(_distance_loss(widened(boxes1), widened(boxes2), eps)[0], reduction)


def complete_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - complete IoU of each pair (Zheng et al., 2020); arguments as the generalised one."""
    boxes1, boxes2 = widened(boxes1), widened(boxes2)
    loss, iou = _distance_loss(boxes1, boxes2, eps)
    different = proportions_term(slope(boxes1), slope(boxes2))
    with fb.no_grad():
        weight = different / (1 - iou + different + eps)
    return _reduced(loss + weight * different, reduction)


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    """Cross entropy in which easy examples count less (Lin et al., 2017).

    Args:
        inputs: logits, any shape.
        targets: 0 or 1, the same shape and a floating dtype.
        alpha: weight of the positive examples, in [0, 1]; -1 for no weights.
        gamma: how much less easy examples count.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.

    Raises:
        ValueError: another ``alpha`` or reduction.
    """
    if not (0 <= alpha <= 1) and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1")
    entropy = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    probability = fb.sigmoid(inputs)
    right = probability * targets + (1 - probability) * (1 - targets)
    loss = entropy * (1 - right) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return _reduced(loss, reduction)
