"""Scaling tensor images.

Scaling is linear and separable: one matrix per direction says how much of every input row (or
column) goes into every output one, and the image is multiplied by both.
"""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import flambeau as fb

if TYPE_CHECKING:
    from flambeau import Tensor

Matrix = np.ndarray[Any, np.dtype[np.floating[Any]]]

# Of the cubic convolution of Keys (1981): -0.5 is his value and Pillow's; PyTorch has -0.75 where
# it does not smooth.
_CUBIC_SMOOTHED, _CUBIC_PLAIN = -0.5, -0.75


def resize(image: Tensor, size: tuple[int, int], mode: str, antialias: bool) -> Tensor:
    """Scale the last two dimensions.

    Args:
        image: floating, (..., H, W).
        size: new height and width.
        mode: "nearest", "nearest-exact", "bilinear" or "bicubic".
        antialias: when shrinking by "bilinear" or "bicubic", average over all that falls into an
            output pixel, as Pillow does.
    """
    height, width = image.shape[-2:]
    if mode.startswith("nearest"):
        rows = nearest_source(height, size[0], mode == "nearest-exact")
        columns = nearest_source(width, size[1], mode == "nearest-exact")
        return image.index_select(-2, rows).index_select(-1, columns)
    vertical = _matrix_like(weights(height, size[0], mode, antialias), image)
    horizontal = _matrix_like(weights(width, size[1], mode, antialias), image)
    return fb.matmul(fb.matmul(vertical, image), horizontal.transpose(0, 1))


def _matrix_like(matrix: Matrix, image: Tensor) -> Tensor:
    return fb.from_numpy(matrix).to(image.device, image.dtype)


def nearest_source(length: int, new_length: int, exact: bool) -> Tensor:
    """The input index of every output index, in PyTorch's single precision."""
    position = np.arange(new_length, dtype=np.float32) + np.float32(0.5 if exact else 0.0)
    source = np.floor(position * np.float32(length / new_length))
    return fb.from_numpy(np.minimum(source, length - 1).astype(np.int64))


def weights(length: int, new_length: int, mode: str, antialias: bool) -> Matrix:
    """How much of every input goes into every output: ``new_length x length``, rows sum to 1."""
    scale = length / new_length
    centers = (np.arange(new_length) + 0.5) * scale
    if antialias:
        curve = _triangle if mode == "bilinear" else _cubic(_CUBIC_SMOOTHED)
        return _smoothed(length, centers, max(scale, 1.0), curve, 1 if mode == "bilinear" else 2)
    if mode == "bilinear":
        return _interpolated(length, np.maximum(centers - 0.5, 0.0), _triangle, 1)
    return _interpolated(length, centers - 0.5, _cubic(_CUBIC_PLAIN), 2)


def _smoothed(
    length: int,
    centers: Matrix,
    stretch: float,
    curve: Callable[[Matrix], Matrix],
    radius: int,
) -> Matrix:
    """The curve, widened by ``stretch``, sampled at the centres of the input pixels."""
    pixels = np.arange(length)
    support = radius * stretch
    first = np.maximum((centers - support + 0.5).astype(int), 0)
    last = np.minimum((centers + support + 0.5).astype(int), length)
    inside = (pixels >= first[:, None]) & (pixels < last[:, None])
    values = curve((pixels + 0.5 - centers[:, None]) / stretch) * inside
    total: Matrix = values.sum(axis=1, keepdims=True)
    return values / total


def _interpolated(
    length: int, sources: Matrix, curve: Callable[[Matrix], Matrix], radius: int
) -> Matrix:
    """The curve at the ``2 * radius`` neighbours; those beyond the edge count for the edge."""
    matrix = np.zeros((len(sources), length))
    base = np.floor(sources).astype(int)
    rows = np.arange(len(sources))
    for offset in range(1 - radius, 1 + radius):
        neighbour = np.clip(base + offset, 0, length - 1)
        np.add.at(matrix, (rows, neighbour), curve(base + offset - sources))
    return matrix


def _triangle(x: Matrix) -> Matrix:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic(a: float) -> Callable[[Matrix], Matrix]:
    """Keys' kernel with parameter ``a``."""

    def curve(x: Matrix) -> Matrix:
        x = np.abs(x)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = (((x - 5) * x + 8) * x - 4) * a
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))

    return curve
