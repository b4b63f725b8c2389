"""Pictures of tensors: grids, files, and what can be drawn on images."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import flambeau as fb
from flambeau.tensor import Tensor
from flambeau.vision.drawing import (
    draw_bounding_boxes,
    draw_keypoints,
    draw_segmentation_masks,
)
from flambeau.vision.flow import flow_to_image
from flambeau.vision.pillow import pillow

__all__ = [
    "draw_bounding_boxes",
    "draw_keypoints",
    "draw_segmentation_masks",
    "flow_to_image",
    "make_grid",
    "save_image",
]


@fb.no_grad()
def make_grid(
    tensor: Tensor | list[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images side by side in one image.

    Args:
        tensor: N x C x H x W, a list of C x H x W, or one image; grey becomes three channels.
        nrow: images per row.
        padding: pixels between the images and around all.
        normalize: shift and scale to [0, 1].
        value_range: what becomes 0 and 1; smallest and largest value if ``None``.
        scale_each: normalise every image by itself.
        pad_value: value of the padding.

    Returns:
        C x H' x W'.

    Raises:
        TypeError: neither a tensor nor a list of tensors, or ``value_range`` is no tuple.
    """
    images = _batch_of_images(tensor)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(
                "value_range has to be a tuple (min, max) if specified. min and max are numbers"
            )
        images = images.clone()
        for part in images if scale_each else [images]:
            _stretch(part, value_range)
    if images.shape[0] == 1:
        return images.squeeze(0)
    return _tiled(images, nrow, padding, pad_value)


def _batch_of_images(tensor: Any) -> Tensor:
    """N x C x H x W with C of 3 for grey images."""
    if isinstance(tensor, list):
        wrong = next((item for item in tensor if not isinstance(item, Tensor)), None)
        if wrong is not None:
            raise TypeError(
                f"tensor or list of tensors expected, got a list containing {type(wrong)}"
            )
        tensor = fb.stack(tensor, dim=0)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if tensor.dim() == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 3:
        tensor = tensor.unsqueeze(0)
    return fb.cat([tensor] * 3, 1) if tensor.shape[1] == 1 else tensor


def _stretch(image: Tensor, value_range: tuple[float, float] | None) -> None:
    low, high = value_range or (float(image.min()), float(image.max()))
    image.clamp_(low, high).sub_(low).div_(max(high - low, 1e-5))


def _tiled(images: Tensor, nrow: int, padding: int, pad_value: float) -> Tensor:
    count, channels = images.shape[:2]
    columns = min(nrow, count)
    rows = -(-count // columns)
    height, width = images.shape[2] + padding, images.shape[3] + padding
    grid = images.new_full(
        (channels, height * rows + padding, width * columns + padding), pad_value
    )
    for image, (top, left) in zip(images, _places(columns, height, width, padding), strict=False):
        grid[:, top : top + height - padding, left : left + width - padding] = image
    return grid


def _places(columns: int, height: int, width: int, padding: int) -> Iterator[tuple[int, int]]:
    """Upper left corners, row by row, without end."""
    row = 0
    while True:
        yield from ((row * height + padding, x * width + padding) for x in range(columns))
        row += 1


@fb.no_grad()
def save_image(
    tensor: Tensor | list[Tensor],
    fp: str | Path | IO[bytes],
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write images with values in [0, 1] to a file, as a grid.

    Args:
        tensor: as for ``make_grid``.
        fp: path, or open binary file.
        format: Pillow's name of the file format; from the extension if ``None``.
        **kwargs: of ``make_grid``.
    """
    grid = make_grid(tensor, **kwargs)
    bytes_ = grid.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to("cpu", fb.uint8)
    pillow("Image").fromarray(bytes_.contiguous().numpy()).save(fp, format=format)
