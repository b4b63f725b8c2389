"""What turns a picture into the input of a published model."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms.interpolation import InterpolationMode


class ImageClassification(nn.Module):
    """Scale, cut out the middle, convert to floats in [0, 1], and normalise by channel.

    Args:
        crop_size: the side of the square that is cut out, in pixels.
        resize_size: what the short side is scaled to, in pixels.
        mean: subtracted from the channels.
        std: the channels are then divided by it.
        interpolation: of the scaling.
        antialias: of the scaling, where tensors are scaled.
    """

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.crop_size, self.resize_size = [crop_size], [resize_size]
        self.mean, self.std = list(mean), list(std)
        self.interpolation, self.antialias = interpolation, antialias

    def forward(self, img: Any) -> Tensor:
        """The input of a Pillow image, or of tensors ``(..., C, H, W)``."""
        img = F.resize(
            img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias
        )
        img = F.center_crop(img, self.crop_size)
        if not isinstance(img, Tensor):
            img = F.pil_to_tensor(img)
        img = F.convert_image_dtype(img, fb.float32)
        normal: Tensor = F.normalize(img, mean=self.mean, std=self.std)
        return normal
