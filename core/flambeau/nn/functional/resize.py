"""Older names of resizing, and a convolution in another order of dimensions."""

from __future__ import annotations

import warnings
from typing import Any

from flambeau.nn.functional import registered
from flambeau.tensor import Tensor

__all__ = ["conv_tbc", "upsample", "upsample_bilinear", "upsample_nearest"]


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Deprecated name of ``interpolate``."""
    _warn("upsample", "nn.functional.interpolate")
    return registered.interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Deprecated: ``interpolate`` by the nearest pixel."""
    _warn("upsample_nearest", "nn.functional.interpolate")
    return registered.interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Deprecated: bilinear ``interpolate`` with corners aligned."""
    _warn("upsample_bilinear", "nn.functional.interpolate")
    return registered.interpolate(input, size, scale_factor, "bilinear", True)


def _warn(old: str, new: str) -> None:
    warnings.warn(f"`nn.functional.{old}` is deprecated. Use `{new}` instead.", stacklevel=3)


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Convolution of sequences with time first: (T, N, C) by weights (size, C, C_out)."""
    out = registered.conv1d(
        input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad)
    return out.permute(2, 0, 1)
