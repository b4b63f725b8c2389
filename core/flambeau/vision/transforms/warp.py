"""Turning and shearing tensor images: every output pixel is looked up in the input."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import flambeau as fb

if TYPE_CHECKING:
    from flambeau import Tensor

Plane = np.ndarray[Any, np.dtype[np.floating[Any]]]


def inverse_affine_matrix(
    center: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> list[float]:
    """From an output point to the input point that is shown there, 2 x 3, row by row.

    The forward map is ``T C R(angle) Shear(x, y) S(scale) C^-1`` with translation ``T`` and the
    shift ``C`` to the centre; angles are in degrees.

    Args:
        center: fixed point of rotation, shear and scaling.
        angle: clockwise in the coordinates of images, whose y axis points down.
        translate: in x and y.
        scale: above 0.
        shear: angles in x and y.
    """
    turn, shear_x, shear_y = (math.radians(degrees) for degrees in (angle, *shear))
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -a * math.tan(shear_x) - math.sin(turn)
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = -c * math.tan(shear_x) + math.cos(turn)
    # The determinant of [[a, b], [c, d]] is 1: its inverse is the adjugate.
    inverse = [[d / scale, -b / scale], [-c / scale, a / scale]]
    x, y = (-middle - shift for middle, shift in zip(center, translate, strict=True))
    return [
        value
        for row, middle in zip(inverse, center, strict=True)
        for value in (*row, row[0] * x + row[1] * y + middle)
    ]


def expanded_size(matrix: Sequence[float], width: int, height: int) -> tuple[int, int]:
    """Width and height of what holds all of the turned image."""
    corners = np.array([[x * width, y * height] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    linear = np.array([matrix[0:2], matrix[3:5]])
    moved = corners @ linear.T + np.array([matrix[2], matrix[5]]) + 0.5 * np.array([width, height])
    # Without the tolerance a quarter turn could grow by a pixel.
    tolerance = 1e-4
    low = np.floor(np.trunc(moved.min(axis=0) / tolerance) * tolerance)
    high = np.ceil(np.trunc(moved.max(axis=0) / tolerance) * tolerance)
    new_width, new_height = (int(length) for length in high - low)
    return new_width, new_height


def affine(
    image: Tensor,
    matrix: Sequence[float],
    interpolation: str,
    fill: Sequence[float] | None,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Look up every output pixel where the matrix says, both relative to the centres.

    Args:
        image: (..., C, H, W).
        matrix: from output to input, 2 x 3, row by row.
        interpolation: "nearest" or "bilinear".
        fill: one value, or one per channel, for what lies outside; 0 if ``None``.
        size: output width and height; those of the input if ``None``.
    """
    height, width = image.shape[-2:]
    new_width, new_height = size or (width, height)
    y, x = np.mgrid[:new_height, :new_width].astype(np.float32)
    x, y = x - np.float32((new_width - 1) / 2), y - np.float32((new_height - 1) / 2)
    source_x = _source(matrix[0:3], x, y, width)
    source_y = _source(matrix[3:6], x, y, height)
    look_up = _nearest if interpolation == "nearest" else _bilinear
    return look_up(image, source_x, source_y, fill)


def _source(row: Sequence[float], x: Plane, y: Plane, length: int) -> Plane:
    """One input coordinate of every output point.

    In single precision and by way of [-1, 1], as PyTorch computes it: a quarter turn of an image
    with an even and an odd side looks exactly between pixels, where rounding decides.
    """
    a, b, c = np.array(row, np.float32) / np.float32(length / 2)
    relative = x * a + y * b + c
    return ((relative + 1) * np.float32(length) - 1) / 2


def _take(image: Tensor, x: Plane, y: Plane) -> tuple[Tensor, Plane]:
    """The pixels at whole coordinates, and where these are inside of the image."""
    height, width = image.shape[-2:]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = np.where(inside, y * width + x, 0).astype(np.int64)
    positions = fb.from_numpy(index.reshape(-1)).to(image.device)
    taken = image.reshape(*image.shape[:-2], height * width).index_select(-1, positions)
    return taken.reshape(*image.shape[:-2], *x.shape), inside


def _fill_like(image: Tensor, fill: Sequence[float] | None) -> Tensor:
    values = fb.tensor(list(fill or [0.0]), dtype=image.dtype, device=image.device)
    return values.reshape(-1, 1, 1)


def _nearest(image: Tensor, x: Plane, y: Plane, fill: Sequence[float] | None) -> Tensor:
    taken, inside = _take(image, np.rint(x), np.rint(y))
    mask = fb.from_numpy(inside).to(image.device)
    return fb.where(mask, taken, _fill_like(image, fill))


def _bilinear(image: Tensor, x: Plane, y: Plane, fill: Sequence[float] | None) -> Tensor:
    """Of the four neighbours, those outside count as 0; then the fill shines through there."""
    work = image if image.dtype.is_floating_point else image.to(fb.float32)
    left, top = np.floor(x), np.floor(y)
    total: Any = 0.0
    covered = np.zeros_like(x)
    for dx in (0, 1):
        for dy in (0, 1):
            taken, inside = _take(work, left + dx, top + dy)
            share = (1 - np.abs(x - left - dx)) * (1 - np.abs(y - top - dy)) * inside
            covered += share
            total = total + taken * fb.from_numpy(share).to(work.device, work.dtype)
    if fill is not None:
        mask = fb.from_numpy(covered).to(work.device, work.dtype)
        total = total * mask + (1.0 - mask) * _fill_like(work, fill)
    result: Tensor = total if image.dtype.is_floating_point else fb.round(total).to(image.dtype)
    return result
