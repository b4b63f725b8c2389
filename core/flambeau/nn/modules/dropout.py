"""Dropout layers."""

from __future__ import annotations

from flambeau.nn import functional as F
from flambeau.nn.modules.module import Module
from flambeau.tensor import Tensor

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]


class _DropoutNd(Module):
    """In training sets values to zero at random and scales the others; in evaluation does nothing.

    Args:
        p: probability of zero.
        inplace: write to the input.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(
                f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Each element independently."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Whole channels of sequences."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, L) or (C, L)."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Whole channels of images."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, H, W) or (N, C, L)."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Whole channels of volumes."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, D, H, W) or (C, D, H, W)."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Each element; keeps mean and variance of activations by ``SELU``."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """Whole channels; keeps mean and variance of activations by ``SELU``."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, *)."""
        return F.feature_alpha_dropout(input, self.p, self.training)
