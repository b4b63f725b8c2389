"""Checks that several transforms share."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

from flambeau.tensor import Tensor
from flambeau.vision.transforms import functional as F


def setup_size(size: Any, message: str = "") -> Any:
    """Height and width from a number or a sequence; a sequence of two stays as it is.

    Raises:
        ValueError: another length.
    """
    pair = F.pair_of(size, message or "Please provide only two dimensions (h, w) for size.")
    return size if isinstance(size, Sequence) and len(size) == 2 else pair


def check_sequence(value: Any, name: str, lengths: tuple[int, ...]) -> None:
    """Raise TypeError for what is no sequence, ValueError for one of another length."""
    wanted = " or ".join(str(length) for length in lengths)
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be a sequence of length {wanted}.")
    if len(value) not in lengths:
        raise ValueError(f"{name} should be a sequence of length {wanted}.")


def setup_angle(value: Any, name: str, lengths: tuple[int, ...] = (2,)) -> list[float]:
    """A range of degrees; one number means from its negative to it."""
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be positive.")
        value = [-value, value]  # type: ignore[operator]
    else:
        check_sequence(value, name, lengths)
    return [float(degrees) for degrees in value]


def setup_fill(fill: Any) -> Any:
    """A fill value; ``None`` is 0."""
    if fill is not None and not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return 0 if fill is None else fill


def fill_for(img: Any, fill: Any) -> Any:
    """The fill value in the form that the image wants: per channel and floating for tensors."""
    if not isinstance(img, Tensor):
        return fill
    if isinstance(fill, (int, float)):
        return [float(fill)] * F.get_image_num_channels(img)
    return [float(value) for value in fill]


def check_scale_and_ratio(scale: Any, ratio: Any) -> None:
    """Raise TypeError for what are no sequences; warn about ranges that are upside down."""
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)
