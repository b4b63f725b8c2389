"""Transforms that cut, pad, mirror and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flambeau.nn import Module
from flambeau.vision.transforms import draw
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms.arguments import check_scale_and_ratio, setup_size
from flambeau.vision.transforms.interpolation import InterpolationMode, interpolation_mode

# After so many boxes that do not fit, the middle of the image is taken.
_TRIES = 10


class Resize(Module):
    """The image scaled to ``size``: height and width, or the length of the shorter side."""

    def __init__(
        self,
        size: F.Size,
        interpolation: F.Interpolation = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size = size
        self.max_size = max_size
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias

    def forward(self, img: Any) -> Any:
        """The scaled image."""
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class CenterCrop(Module):
    """The middle of the image."""

    def __init__(self, size: F.Size) -> None:
        super().__init__()
        self.size = setup_size(size)

    def forward(self, img: Any) -> Any:
        """The crop."""
        return F.center_crop(img, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class FiveCrop(Module):
    """The corners and the middle, as a tuple of five."""

    def __init__(self, size: F.Size) -> None:
        super().__init__()
        self.size = setup_size(size)

    def forward(self, img: Any) -> tuple[Any, ...]:
        """The crops."""
        return F.five_crop(img, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class TenCrop(Module):
    """The corners and the middle of the image and of its mirror image, as a tuple of ten."""

    def __init__(self, size: F.Size, vertical_flip: bool = False) -> None:
        super().__init__()
        self.size = setup_size(size)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> tuple[Any, ...]:
        """The crops."""
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class Pad(Module):
    """Pixels added around the image."""

    def __init__(self, padding: F.Size, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        if fill is None:
            raise TypeError("Got inappropriate fill arg")
        F.check_pad_arguments(padding, fill, padding_mode)
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img: Any) -> Any:
        """The larger image."""
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, "
            f"padding_mode={self.padding_mode})"
        )


class RandomCrop(Module):
    """A crop of fixed size at a random place."""

    def __init__(
        self,
        size: F.Size,
        padding: F.Size | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = tuple(setup_size(size))
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """Top, left, height and width.

        Raises:
            ValueError: the image is smaller than the crop.
        """
        _, rows, columns = F.get_dimensions(img)
        height, width = output_size
        if rows < height or columns < width:
            raise ValueError(
                f"Required crop size {(height, width)} is larger than input image size "
                f"{(rows, columns)}"
            )
        if (height, width) == (rows, columns):
            return 0, 0, rows, columns
        top = draw.integer(0, rows - height + 1)
        return top, draw.integer(0, columns - width + 1), height, width

    def forward(self, img: Any) -> Any:
        """The crop."""
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, rows, columns = F.get_dimensions(img)
        beside, below = self.size[1] - columns, self.size[0] - rows
        if self.pad_if_needed and beside > 0:
            img = F.pad(img, [beside, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and below > 0:
            img = F.pad(img, [0, below], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip(Module):
    """Left and right exchanged with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        """The image, mirrored or not."""
        return F.hflip(img) if draw.happens(self.p) else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomVerticalFlip(Module):
    """Top and bottom exchanged with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        """The image, mirrored or not."""
        return F.vflip(img) if draw.happens(self.p) else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomResizedCrop(Module):
    """A crop of random area and aspect ratio, scaled to a fixed size.

    Args:
        size: of the result.
        scale: range of the area, as a share of that of the image.
        ratio: range of width to height.
        interpolation: of the scaling.
        antialias: of the scaling.
    """

    def __init__(
        self,
        size: F.Size,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: F.Interpolation = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = setup_size(size)
        check_scale_and_ratio(scale, ratio)
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias
        self.scale = scale
        self.ratio = ratio

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Top, left, height and width."""
        _, rows, columns = F.get_dimensions(img)
        for _ in range(_TRIES):
            area = rows * columns * draw.uniform(scale[0], scale[1])
            aspect = draw.aspect_ratio(ratio)
            width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < width <= columns and 0 < height <= rows:
                top = draw.integer(0, rows - height + 1)
                return top, draw.integer(0, columns - width + 1), height, width
        return _middle_box(rows, columns, ratio)

    def forward(self, img: Any) -> Any:
        """The scaled crop."""
        box = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *box, self.size, self.interpolation, self.antialias)

    def __repr__(self) -> str:
        scale, ratio = (
            tuple(round(value, 4) for value in values) for values in (self.scale, self.ratio)
        )
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


def _middle_box(rows: int, columns: int, ratio: Sequence[float]) -> tuple[int, int, int, int]:
    """The largest box in the middle whose aspect ratio is allowed."""
    width, height = columns, rows
    if columns / rows < min(ratio):
        height = round(width / min(ratio))
    elif columns / rows > max(ratio):
        width = round(height * max(ratio))
    return (rows - height) // 2, (columns - width) // 2, height, width
