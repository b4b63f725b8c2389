"""Memory orders of convolution weights."""

from __future__ import annotations

from typing import TypeVar

from flambeau.memory_format import memory_format as MemoryFormat
from flambeau.nn.modules.conv import Conv2d, Conv3d
from flambeau.nn.modules.conv_transpose import ConvTranspose2d, ConvTranspose3d
from flambeau.nn.modules.module import Module

M = TypeVar("M", bound=Module)

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert_conv2d_weight_memory_format(module: M, memory_format: MemoryFormat) -> M:
    """Put the weights of all two-dimensional convolutions into a memory order."""
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: M, memory_format: MemoryFormat) -> M:
    """Put the weights of all three-dimensional convolutions into a memory order."""
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))


def _convert(module: M, memory_format: MemoryFormat, kinds: tuple[type[Module], ...]) -> M:
    for each in module.modules():
        if isinstance(each, kinds):
            each.weight.data = each.weight.detach().clone(memory_format=memory_format)
    return module
