"""The largest features of regions (Girshick, 2015)."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import math
from collections.abc import Sequence

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.tensor import Tensor
from flambeau.vision.ops.regions import pair, regions_of


def roi_pool(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
) -> Tensor:
    """Maxima of the bins of every region; corners are rounded to pixels, and belong to it.

    Args:
        input: N x C x H x W, floating.
        boxes: K x 5 (number of the image and corners), or for every image L x 4.
        output_size: bins per axis.
        spatial_scale: from coordinates of the boxes to those of ``input``.

    Returns:
        K x C x height x width; a bin outside of the image is 0.

    Raises:
        RuntimeError: other shapes, dtypes or devices.
    """
    regions = regions_of("roi_pool", input, boxes)
    size = pair(output_size)
    pooled = [
        _pooled(input[int(number)], [_rounded(c * spatial_scale) for c in corners], size)
        for number, *corners in regions.tolist()
    ]
    return fb.stack(pooled) if pooled else input.new_zeros((0, input.shape[1], *size))


def _rounded(value: float) -> int:
    """Halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _pooled(image: Tensor, corners: list[int], size: tuple[int, int]) -> Tensor:
    x1, y1, x2, y2 = corners
    x2, y2 = max(x2, x1), max(y2, y1)
    height, width = image.shape[1:]
    part = image[:, max(y1, 0) : max(y2 + 1, 0), max(x1, 0) : max(x2 + 1, 0)]
    if not part.numel():
        return image.new_zeros((image.shape[0], *size))
    outside = (max(-x1, 0), max(x2 + 1 - width, 0), max(-y1, 0), max(y2 + 1 - height, 0))
    if not any(outside):
        return F.adaptive_max_pool2d(part[None], size)[0]
    pooled = F.adaptive_max_pool2d(F.pad(part, outside, value=-math.inf)[None], size)[0]
    return pooled.masked_fill(pooled == -math.inf, 0.0)


class RoIPool(nn.Module):
    """``roi_pool`` as a module."""

    def __init__(self, output_size: int | Sequence[int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """See ``roi_pool``."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale})"
        )
