"""Transforms that turn and shear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau.nn import Module
from flambeau.vision.transforms import draw
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms.arguments import (
    check_sequence,
    fill_for,
    setup_angle,
    setup_fill,
)
from flambeau.vision.transforms.interpolation import InterpolationMode, interpolation_mode


class RandomRotation(Module):
    """A turn by a random angle.

    Args:
        degrees: range, or one number for from its negative to it.
        interpolation: tensors take nearest and bilinear.
        expand: make the output as large as the turned image.
        center: fixed point, x and y; the middle if ``None``.
        fill: what is outside of the image.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: F.Interpolation = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.interpolation = interpolation_mode(interpolation)
        self.degrees = setup_angle(degrees, "degrees")
        if center is not None:
            check_sequence(center, "center", (2,))
        self.center = center
        self.expand = expand
        self.fill = setup_fill(fill)

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """The angle."""
        return draw.uniform(float(degrees[0]), float(degrees[1]))

    def forward(self, img: Any) -> Any:
        """The turned image."""
        fill = fill_for(img, self.fill)
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"{type(self).__name__}(degrees={self.degrees}, "
            f"interpolation={self.interpolation.value}, expand={self.expand}{center}, "
            f"fill={self.fill})"
        )


class RandomAffine(Module):
    """A random turn, shift, scaling and shear about the middle.

    Args:
        degrees: range of the angle, or one number for from its negative to it; 0 for none.
        translate: largest shift as a share of width and of height.
        scale: range of the factor.
        shear: degrees in x: one number, a range, or two ranges for x and y.
        interpolation: tensors take nearest and bilinear.
        fill: what is outside of the image.
        center: fixed point, x and y; the middle if ``None``.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: F.Interpolation = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.interpolation = interpolation_mode(interpolation)
        self.degrees = setup_angle(degrees, "degrees")
        if translate is not None:
            check_sequence(translate, "translate", (2,))
            if not all(0.0 <= share <= 1.0 for share in translate):
                raise ValueError("translation values should be between 0 and 1")
        self.translate = translate
        if scale is not None:
            check_sequence(scale, "scale", (2,))
            if not all(factor > 0 for factor in scale):
                raise ValueError("scale values should be positive")
        self.scale = scale
        self.shear = None if shear is None else setup_angle(shear, "shear", (2, 4))
        self.fill = setup_fill(fill)
        if center is not None:
            check_sequence(center, "center", (2,))
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Angle, shift in x and y, factor, shear in x and y."""
        angle = draw.uniform(float(degrees[0]), float(degrees[1]))
        shift_x = shift_y = 0
        if translate is not None:
            limit_x, limit_y = (
                float(share * length) for share, length in zip(translate, img_size, strict=True)
            )
            shift_x = round(draw.uniform(-limit_x, limit_x))
            shift_y = round(draw.uniform(-limit_y, limit_y))
        scale = 1.0 if scale_ranges is None else draw.uniform(scale_ranges[0], scale_ranges[1])
        shear_x = 0.0 if shears is None else draw.uniform(shears[0], shears[1])
        shear_y = 0.0
        if shears is not None and len(shears) == 4:
            shear_y = draw.uniform(shears[2], shears[3])
        return angle, (shift_x, shift_y), scale, (shear_x, shear_y)

    def forward(self, img: Any) -> Any:
        """The transformed image."""
        fill = fill_for(img, self.fill)
        drawn = self.get_params(
            self.degrees, self.translate, self.scale, self.shear, F.get_image_size(img)
        )
        return F.affine(img, *drawn, self.interpolation, fill, self.center)

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [
            f"{name}={value}"
            for name, value in (
                ("translate", self.translate),
                ("scale", self.scale),
                ("shear", self.shear),
            )
            if value is not None
        ]
        if self.interpolation is not InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return f"{type(self).__name__}({', '.join(parts)})"
