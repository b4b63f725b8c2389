"""Features of regions from the level of a pyramid that fits their size (Lin et al., 2017)."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import math
from collections.abc import Sequence

import flambeau as fb
from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.ops.boxes import box_area
from flambeau.vision.ops.regions import pair
from flambeau.vision.ops.roi_align import roi_align


class MultiScaleRoIAlign(nn.Module):
    """``roi_align`` over several maps.

    Args:
        featmap_names: names of the maps that are used, the finest first.
        output_size: bins per axis.
        sampling_ratio: as for ``roi_align``.
        canonical_scale: side of a box, in pixels, that belongs to ``canonical_level``.
        canonical_level: binary logarithm of the stride of its map.
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size: int | Sequence[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names = featmap_names
        self.output_size = pair(output_size)
        self.sampling_ratio = sampling_ratio
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(
        self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """Features of the boxes of all images.

        Args:
            x: maps by name, N x C x H x W each.
            boxes: for every image L x 4, corners in pixels of the image.
            image_shapes: height and width of the images before they were padded to one size.

        Returns:
            K x C x height x width.

        Raises:
            ValueError: there is no image, or none of the maps.
        """
        if not image_shapes:
            raise ValueError("images list should not be empty")
        maps = [x[name] for name in x if name in self.featmap_names]
        if not maps:
            raise ValueError(f"none of the maps {self.featmap_names} is among {list(x)}")
        scales = [_scale(m, image_shapes) for m in maps]
        levels = self._levels(boxes, scales)
        results = maps[0].new_zeros((levels.shape[0], maps[0].shape[1], *self.output_size))
        numbered = _numbered(boxes)
        for level, (map_, scale) in enumerate(zip(maps, scales, strict=True)):
            chosen = (levels == level).nonzero().squeeze(1)
            pooled = roi_align(map_, numbered[chosen], self.output_size, scale, self.sampling_ratio)
            results = results.index_copy(0, chosen, pooled)
        return results

    def _levels(self, boxes: list[Tensor], scales: list[float]) -> Tensor:
        """Equation 1 of the paper, counted from the finest map."""
        lowest, highest = -math.log2(scales[0]), -math.log2(scales[-1])
        sides = fb.cat([box_area(of_image) for of_image in boxes]).sqrt()
        level = (self.canonical_level + fb.log2(sides / self.canonical_scale) + 1e-6).floor()
        return (level.clamp(min=lowest, max=highest) - lowest).long()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(featmap_names={self.featmap_names}, "
            f"output_size={self.output_size}, sampling_ratio={self.sampling_ratio})"
        )


def _scale(map_: Tensor, image_shapes: list[tuple[int, int]]) -> float:
    """Side of the map by that of the largest image, to a power of two."""
    largest = max(height for height, _ in image_shapes)
    return 2.0 ** round(math.log2(map_.shape[-2] / largest))


def _numbered(boxes: list[Tensor]) -> Tensor:
    numbers = [fb.full_like(of_image[:, :1], n) for n, of_image in enumerate(boxes)]
    return fb.cat([fb.cat(numbers), fb.cat(boxes)], dim=1)
