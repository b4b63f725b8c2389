"""Convolution of sequences stored as (time, batch, channels)."""

from __future__ import annotations

from typing import Any

from flambeau.ops.conv import conv1d
from flambeau.registry import composite
from flambeau.samples import error, sample
from flambeau.tensor import Tensor


@composite(
    "conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor", method=True,
    out=False,
    samples=lambda make: iter([
        sample(make(5, 2, 3), make(2, 3, 4), make(4)),
        sample(make(4, 1, 2), make(3, 2, 2), make(2), 2)]),
    errors=lambda make: iter([
        error(RuntimeError, "Input must have 3 dims", make(5, 3), make(2, 3, 4), make(4)),
        error(RuntimeError, "input channels", make(5, 2, 3), make(2, 2, 4), make(4)),
        error(RuntimeError, "Weight tensor must have 3 dims", make(5, 2, 3), make(2, 2), make(4)),
        error(RuntimeError, "Bias", make(5, 2, 3), make(2, 3, 4), make(3))]),
)
def conv_tbc(self: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """(time, batch, in) by (width, in, out) and (out) to (time + 2 pad - width + 1, batch, out)."""
    if self.ndim != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if weight.ndim != 3:
        raise RuntimeError(
            "Weight tensor must have 3 dims: kernel_width, in_channels, out_channels")
    if weight.shape[1] != self.shape[2]:
        raise RuntimeError(
            "Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if bias.ndim != 1 or bias.shape[0] != weight.shape[2]:
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    out: Any = conv1d(self.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad)
    result: Tensor = out.permute(2, 0, 1)
    return result
