"""Names of the ways to interpolate."""

from __future__ import annotations

from enum import Enum
from typing import Any


class InterpolationMode(Enum):
    """How values between pixels are found; tensors know only the first four."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Pillow's numbers, which are also accepted as arguments.
_OF_NUMBER = {
    0: InterpolationMode.NEAREST,
    1: InterpolationMode.LANCZOS,
    2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC,
    4: InterpolationMode.BOX,
    5: InterpolationMode.HAMMING,
}
PILLOW_NUMBER = {mode: number for number, mode in _OF_NUMBER.items()} | {
    InterpolationMode.NEAREST_EXACT: 0
}


def interpolation_mode(value: Any) -> InterpolationMode:
    """The mode that an argument names.

    Raises:
        TypeError: it is neither a mode nor one of Pillow's numbers.
    """
    if isinstance(value, int):
        value = _OF_NUMBER.get(int(value))
    if not isinstance(value, InterpolationMode):
        raise TypeError(
            "Argument interpolation should be a InterpolationMode or a corresponding Pillow "
            "integer constant"
        )
    return value
