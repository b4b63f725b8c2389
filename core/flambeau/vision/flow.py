"""Optical flow as colours (Baker et al., 2011): the hue is the direction, white is rest."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import math

import flambeau as fb
from flambeau.tensor import Tensor

# Steps from one colour to the next, the channel that changes, and whether it rises.
_WHEEL = [(15, 1, True), (6, 0, False), (4, 2, True), (11, 1, False), (13, 0, True), (6, 2, False)]


def _wheel() -> list[list[int]]:
    """Red, green and blue around the circle, from red by yellow, green, cyan, blue, magenta."""
    color, wheel = [255, 0, 0], []
    for steps, channel, rises in _WHEEL:
        for step in range(steps):
            part = 255 * step // steps
            color[channel] = part if rises else 255 - part
            wheel.append(list(color))
        color[channel] = 255 if rises else 0
    return wheel


@fb.no_grad()
def flow_to_image(flow: Tensor) -> Tensor:
    """Colours of a flow; the longest vector has the full colour.

    Args:
        flow: 2 x H x W or N x 2 x H x W, floating: how far right and down.

    Returns:
        3 x H x W or N x 3 x H x W, uint8.

    Raises:
        ValueError: another dtype or shape.
    """
    if not flow.dtype.is_floating_point:
        raise ValueError(f"Flow should be of dtype float, got {flow.dtype}.")
    if flow.dim() not in (3, 4) or flow.shape[-3] != 2:
        raise ValueError(
            f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {tuple(flow.shape)}."
        )
    longest = flow.square().sum(dim=-3).sqrt().max()
    flow = flow / (longest + fb.finfo(flow.dtype).eps)
    x, y = flow.unbind(-3)
    wheel = fb.tensor(_wheel(), dtype=flow.dtype, device=flow.device) / 255
    place = (fb.atan2(-y, -x) / math.pi + 1) / 2 * (len(wheel) - 1)
    first = place.floor().long()
    part = (place - first)[..., None]
    color = (1 - part) * wheel[first] + part * wheel[(first + 1) % len(wheel)]
    length = flow.square().sum(dim=-3).sqrt()[..., None]
    return (255 * (1 - length * (1 - color))).floor().to(fb.uint8).movedim(-1, -3)
