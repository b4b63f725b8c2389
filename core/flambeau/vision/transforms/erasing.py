"""A transform that hides a part of the image."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.nn import Module
from flambeau.tensor import Tensor
from flambeau.vision.transforms import draw
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms.arguments import check_scale_and_ratio

_TRIES = 10


class RandomErasing(Module):
    """A random rectangle of a tensor image overwritten, with probability ``p`` (Zhong, 2017).

    Args:
        p: probability.
        scale: range of the area, as a share of that of the image.
        ratio: range of height to width.
        value: what is written: one number, one per channel, or ``"random"`` for normal noise.
        inplace: write into the given tensor.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        check_scale_and_ratio(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value: Any = value
        self.inplace = inplace

    @staticmethod
    def get_params(
        img: Tensor,
        scale: Sequence[float],
        ratio: Sequence[float],
        value: Sequence[float] | None = None,
    ) -> tuple[int, int, int, int, Tensor]:
        """Top, left, height, width and what is written there; noise if ``value`` is ``None``."""
        channels, rows, columns = img.shape[-3:]
        for _ in range(_TRIES):
            area = rows * columns * draw.uniform(scale[0], scale[1])
            aspect = draw.aspect_ratio(ratio)
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if height >= rows or width >= columns:
                continue
            if value is None:
                written = fb.empty((channels, height, width), dtype=fb.float32).normal_()
            else:
                written = fb.tensor(value)[:, None, None]
            top = draw.integer(0, rows - height + 1)
            return top, draw.integer(0, columns - width + 1), height, width, written
        return 0, 0, rows, columns, img

    def forward(self, img: Tensor) -> Tensor:
        """The image, a part of it hidden or not.

        Raises:
            ValueError: as many values as there are no channels.
        """
        if not draw.happens(self.p):
            return img
        value = self._values()
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), self.inplace)

    def _values(self) -> list[float] | None:
        if isinstance(self.value, str):
            return None
        given = self.value if isinstance(self.value, (list, tuple)) else [self.value]
        return [float(value) for value in given]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
