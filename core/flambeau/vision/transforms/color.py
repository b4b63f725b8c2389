"""Transforms of colours."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau.nn import Module
from flambeau.vision.transforms import draw
from flambeau.vision.transforms import functional as F

if TYPE_CHECKING:
    from flambeau import Tensor

Range = tuple[float, float]

_ADJUSTMENTS: tuple[Callable[[Any, float], Any], ...] = (
    F.adjust_brightness,
    F.adjust_contrast,
    F.adjust_saturation,
    F.adjust_hue,
)


def _range_of(value: Any, name: str, center: float, bounds: Range) -> Range | None:
    """The range of a factor; ``None`` if it can only be the one that changes nothing."""
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        low, high = center - float(value), center + float(value)  # type: ignore[arg-type]
        if center == 1:
            low = max(low, 0.0)
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        low, high = float(value[0]), float(value[1])
    else:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
    if not bounds[0] <= low <= high <= bounds[1]:
        raise ValueError(f"{name} values should be between {bounds}, but got {[low, high]}.")
    return None if low == high == center else (low, high)


class ColorJitter(Module):
    """Brightness, contrast, saturation and hue changed at random, in a random order.

    Args:
        brightness: range of the factor, or one number for ``[max(0, 1 - x), 1 + x]``.
        contrast: the same.
        saturation: the same.
        hue: range of the turn, within [-0.5, 0.5], or one number for ``[-x, x]``.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        super().__init__()
        above_zero = (0, float("inf"))
        self.brightness = _range_of(brightness, "brightness", 1, above_zero)
        self.contrast = _range_of(contrast, "contrast", 1, above_zero)
        self.saturation = _range_of(saturation, "saturation", 1, above_zero)
        self.hue = _range_of(hue, "hue", 0, (-0.5, 0.5))

    @staticmethod
    def get_params(
        brightness: Sequence[float] | None,
        contrast: Sequence[float] | None,
        saturation: Sequence[float] | None,
        hue: Sequence[float] | None,
    ) -> tuple[Tensor, float | None, float | None, float | None, float | None]:
        """The order (a permutation of 0 to 3) and the four factors."""
        order = fb.randperm(4)
        b, c, s, h = (
            None if limits is None else draw.uniform(limits[0], limits[1])
            for limits in (brightness, contrast, saturation, hue)
        )
        return order, b, c, s, h

    def forward(self, img: Any) -> Any:
        """The changed image."""
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        for position in order.tolist():
            factor = factors[position]
            if factor is not None:
                img = _ADJUSTMENTS[position](img, factor)
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class Grayscale(Module):
    """The image in grey, with one channel or three equal ones."""

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        """The grey image."""
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class RandomGrayscale(Module):
    """The image in grey with probability ``p``; it keeps its number of channels."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        """The image, grey or not."""
        channels = F.get_image_num_channels(img)
        return F.rgb_to_grayscale(img, channels) if draw.happens(self.p) else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"
