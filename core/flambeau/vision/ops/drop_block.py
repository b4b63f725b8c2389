"""Dropout of blocks of neighbouring pixels (Ghiasi, Lin, Le, 2018)."""

# mypy: disable-error-code=no-any-return
# Operators are installed on Tensor from the registry: to the type checker they give Any.

from __future__ import annotations

import math
from collections.abc import Callable

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.tensor import Tensor


def drop_block2d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """Set blocks of pixels to zero and scale the rest up.

    Args:
        input: N x C x H x W.
        p: the part that is dropped, about.
        block_size: side of a block; a smaller side of ``input`` takes its place.
        inplace: overwrite ``input``.
        eps: against division by zero.
        training: otherwise nothing happens.

    Raises:
        ValueError: ``p`` is not in [0, 1], or ``input`` has other dimensions.
    """
    return _drop(input, p, block_size, inplace, eps, training, 2, F.max_pool2d)


def drop_block3d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """``drop_block2d`` for volumes, N x C x D x H x W."""
    return _drop(input, p, block_size, inplace, eps, training, 3, F.max_pool3d)


def _drop(
    input: Tensor,
    p: float,
    block: int,
    inplace: bool,
    eps: float,
    training: bool,
    rank: int,
    max_pool: Callable[..., Tensor],
) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.dim() != rank + 2:
        raise ValueError(f"input should be {rank + 2} dimensional. Got {input.dim()} dimensions.")
    if not training or p == 0.0:
        return input
    sides = input.shape[2:]
    block = min(block, *sides)
    places = [side - block + 1 for side in sides]
    gamma = p * math.prod(sides) / (block**rank * math.prod(places))
    corners = fb.empty(
        (*input.shape[:2], *places), dtype=input.dtype, device=input.device
    ).bernoulli_(min(gamma, 1.0))
    # A pixel falls out if a block that covers it starts at one of the places.
    kept = 1 - max_pool(F.pad(corners, [block - 1] * (2 * rank)), block, stride=1)
    scale = kept.numel() / (eps + kept.sum())
    return input.mul_(kept).mul_(scale) if inplace else input * kept * scale


class DropBlock2d(nn.Module):
    """``drop_block2d`` as a module."""

    def __init__(self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input: Tensor) -> Tensor:
        """See ``drop_block2d``."""
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, "
            f"inplace={self.inplace})"
        )


class DropBlock3d(DropBlock2d):
    """``drop_block3d`` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        """See ``drop_block3d``."""
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
