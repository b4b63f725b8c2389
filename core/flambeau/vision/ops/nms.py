"""Non-maximum suppression: of boxes that overlap, the one with the highest score stays."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import flambeau as fb
from flambeau.tensor import Tensor
from flambeau.vision.ops.iou import box_iou


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that stay, from the highest score to the lowest.

    Args:
        boxes: N x 4, as corners.
        scores: N.
        iou_threshold: a box goes if its IoU with a better one that stays is above it.

    Returns:
        int64, one-dimensional, on the device of ``boxes``.

    Raises:
        RuntimeError: other shapes.
    """
    _check(boxes, scores)
    return _greedy(boxes, scores, None, iou_threshold)


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """As ``nms``, within each class.

    Args:
        boxes: N x 4, as corners.
        scores: N.
        idxs: N, the classes: boxes of different ones do not suppress each other.
        iou_threshold: as for ``nms``.

    Raises:
        RuntimeError: other shapes.
    """
    _check(boxes, scores)
    if idxs.shape != scores.shape:
        raise RuntimeError(
            f"batched_nms: idxs has shape {tuple(idxs.shape)}, scores {tuple(scores.shape)}"
        )
    return _greedy(boxes, scores, idxs, iou_threshold)


def _check(boxes: Tensor, scores: Tensor) -> None:
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"nms: boxes should be N x 4, got shape {tuple(boxes.shape)}")
    if scores.dim() != 1 or scores.shape[0] != boxes.shape[0]:
        raise RuntimeError(
            "nms: boxes and scores should have the same number of elements in dimension 0, "
            f"got {boxes.shape[0]} and shape {tuple(scores.shape)}"
        )


@fb.no_grad()
def _greedy(boxes: Tensor, scores: Tensor, classes: Tensor | None, threshold: float) -> Tensor:
    # Every step depends on the one before, so it runs on the host: a transfer per step costs more.
    device = boxes.device
    left = scores.cpu().argsort(descending=True, stable=True)
    boxes = boxes.cpu()
    classes = None if classes is None else classes.cpu()
    kept = []
    while left.numel():
        best, left = left[:1], left[1:]
        kept.append(best)
        suppressed = box_iou(boxes[best], boxes[left])[0] > threshold
        if classes is not None:
            suppressed &= classes[left] == classes[best]
        left = left[~suppressed]
    return (fb.cat(kept) if kept else left).to(device)
