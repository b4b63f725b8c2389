"""Features of regions by bilinear interpolation (He et al., 2017; R-FCN's form of it)."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

from collections.abc import Sequence

import flambeau as fb
from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.ops.boxes import widened
from flambeau.vision.ops.regions import pair, regions_of


def roi_align(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Means of samples in the bins of every region.

    The samples of a bin form a grid and bilinear weights are products, so the means are two matrix
    products, one per axis: any backend has them and their derivatives.  A NaN or an infinity in an
    image therefore reaches all regions of its rows and columns.

    Args:
        input: N x C x H x W, floating.
        boxes: K x 5 (number of the image and corners), or for every image L x 4.
        output_size: bins per axis.
        spatial_scale: from coordinates of the boxes to those of ``input``.
        sampling_ratio: samples per bin and axis; as many as pixels in it, rounded up, if < 1.
        aligned: pixels are centred at half coordinates, and small boxes stay small.

    Returns:
        K x C x height x width; gradients flow to ``input``.

    Raises:
        RuntimeError: other shapes, dtypes or devices.
    """
    regions = regions_of("roi_align", input, boxes)
    rows, columns = _weights(
        input, regions, pair(output_size), spatial_scale, sampling_ratio, aligned, not aligned
    )
    image = regions[:, 0].long()
    results = input.new_zeros((regions.shape[0], input.shape[1], *pair(output_size)))
    for number in range(input.shape[0]):
        chosen = (image == number).nonzero().squeeze(1)
        if chosen.numel():
            pooled = _pooled(widened(input[number]), rows[chosen], columns[chosen])
            results = results.index_copy(0, chosen, pooled.to(input.dtype))
    return results


def _pooled(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """C x H x W by K x P x H and K x Q x W to K x C x P x Q."""
    count, bins, height = rows.shape
    along_y = fb.matmul(rows.reshape(count * bins, height), image)  # C x KP x W
    along_y = along_y.reshape(image.shape[0], count, bins, -1).transpose(0, 1)
    return fb.matmul(along_y, columns.transpose(1, 2)[:, None])


def _weights(
    input: Tensor,
    regions: Tensor,
    bins: tuple[int, int],
    scale: float,
    sampling: int,
    shifted: bool,
    at_least_one: bool,
) -> tuple[Tensor, Tensor]:
    """Of every region and bin the weights of the rows and of the columns."""
    corners = widened(regions[:, 1:]) * scale - (0.5 if shifted else 0.0)
    start, sides = corners[:, :2], corners[:, 2:] - corners[:, :2]
    if at_least_one:
        sides = sides.clamp(min=1.0)
    return (
        _axis_weights(start[:, 1], sides[:, 1], bins[0], input.shape[2], sampling),
        _axis_weights(start[:, 0], sides[:, 0], bins[1], input.shape[3], sampling),
    )


def _axis_weights(start: Tensor, side: Tensor, bins: int, length: int, sampling: int) -> Tensor:
    """K x bins x length: what every pixel counts in the mean over the samples of a bin."""
    if not start.numel():
        return start.new_zeros((0, bins, length))
    per_bin = fb.full_like(side, sampling) if sampling > 0 else (side / bins).ceil()
    most = max(int(per_bin.max().item()), 1)
    device, dtype = start.device, start.dtype
    step = fb.arange(most, device=device, dtype=dtype)
    counted = per_bin.clamp(min=1.0)[:, None, None]
    within = (step + 0.5) / counted
    bin_ = fb.arange(bins, device=device, dtype=dtype)[:, None]
    at = start[:, None, None] + (bin_ + within) * (side / bins)[:, None, None]
    valid = (at >= -1.0) & (at <= length) & (step < per_bin[:, None, None])
    pixels = fb.arange(length, device=device, dtype=dtype)
    hats = (1 - (at.clamp(0, length - 1)[..., None] - pixels).abs()).clamp(min=0)
    return (hats * valid[..., None]).sum(dim=2) / counted


def ps_roi_align(
    input: Tensor,
    boxes: Tensor | Sequence[Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
) -> Tensor:
    """Position-sensitive ``roi_align``: every bin has channels of its own (Li et al., 2017).

    Args:
        input: N x (C x height x width) x H x W, floating.
        boxes: as for ``roi_align``.
        output_size: bins per axis.
        spatial_scale: as for ``roi_align``.
        sampling_ratio: as for ``roi_align``.

    Returns:
        K x C x height x width.

    Raises:
        RuntimeError: the channels are no multiple of the bins, or as for ``roi_align``.
    """
    regions = regions_of("ps_roi_align", input, boxes)
    height, width = pair(output_size)
    count, channels = input.shape[:2]
    if channels % (height * width):
        raise RuntimeError(
            f"ps_roi_align: input channels ({channels}) must be a multiple of pooling height * "
            f"pooling width ({height} * {width})"
        )
    rows, columns = _weights(
        input, regions, (height, width), spatial_scale, sampling_ratio, True, False
    )
    maps = widened(input).reshape(count, -1, height, width, *input.shape[2:])
    image = regions[:, 0].long()
    results = input.new_zeros((regions.shape[0], maps.shape[1], height, width))
    for number in range(count):
        chosen = (image == number).nonzero().squeeze(1)
        if chosen.numel():
            pooled = fb.einsum("kiy,cijyx,kjx->kcij", rows[chosen], maps[number], columns[chosen])
            results = results.index_copy(0, chosen, pooled.to(input.dtype))
    return results


class RoIAlign(nn.Module):
    """``roi_align`` as a module."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """See ``roi_align``."""
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}, "
            f"aligned={self.aligned})"
        )


class PSRoIAlign(nn.Module):
    """``ps_roi_align`` as a module."""

    def __init__(
        self, output_size: int | Sequence[int], spatial_scale: float, sampling_ratio: int
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """See ``ps_roi_align``."""
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio})"
        )
