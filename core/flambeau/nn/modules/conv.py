"""Convolutions."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.nn import functional as F
from flambeau.nn import init
from flambeau.nn.modules.module import Module
from flambeau.nn.modules.utils import _ntuple, _reverse_repeat_tuple
from flambeau.nn.parameter import Parameter
from flambeau.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

Sizes = int | tuple[int, ...]
_PADDING_WORDS = ("same", "valid")
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions and transposed convolutions share.

    ``weight`` has shape (out_channels, in_channels / groups, *kernel_size), transposed
    (in_channels, out_channels / groups, *kernel_size).  It and ``bias`` are drawn from U(-k, k),
    k = 1 / sqrt(weight.size(1) * prod(kernel_size)).
    """

    bias: Tensor | None
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int
    padding_mode: str
    weight: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: tuple[int, ...],
        stride: tuple[int, ...], padding: str | tuple[int, ...], dilation: tuple[int, ...],
        transposed: bool, output_padding: tuple[int, ...], groups: int, bias: bool,
        padding_mode: str, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        _check(in_channels, out_channels, stride, padding, groups, padding_mode)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.transposed = dilation, transposed
        self.output_padding, self.groups, self.padding_mode = output_padding, groups, padding_mode
        self._reversed_padding_repeated_twice = self._padding_for_pad()
        self.weight = Parameter(fb.empty(self._weight_shape(), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(fb.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        a, b = self.out_channels, self.in_channels
        if self.transposed:
            a, b = b, a
        return (a, b // self.groups, *self.kernel_size)

    def _padding_for_pad(self) -> list[int]:
        """The padding as ``F.pad`` wants it, for the modes other than zeros."""
        if not isinstance(self.padding, str):
            return list(_reverse_repeat_tuple(self.padding, 2))
        sides: list[int] = []
        for size, dilation in zip(reversed(self.kernel_size), reversed(self.dilation), strict=True):
            total = dilation * (size - 1) if self.padding == "same" else 0
            sides += [total // 2, total - total // 2]
        return sides

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # the bound is 1 / sqrt(fan_in)
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        n = len(self.kernel_size)
        parts = [
            f"{self.in_channels}", f"{self.out_channels}", f"kernel_size={self.kernel_size}",
            f"stride={self.stride}"]
        for name, usual in (
            ("padding", (0,) * len(self.padding)), ("dilation", (1,) * n),
            ("output_padding", (0,) * n), ("groups", 1),
        ):
            value = getattr(self, name)
            if value != usual:
                parts.append(f"{name}={value}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")


def _check(
    in_channels: int, out_channels: int, stride: tuple[int, ...], padding: str | tuple[int, ...],
    groups: int, padding_mode: str,
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups != 0:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups != 0:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str):
        if padding not in _PADDING_WORDS:
            raise ValueError(
                f"Invalid padding string {padding!r}, should be one of {set(_PADDING_WORDS)}")
        if padding == "same" and any(s != 1 for s in stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in _PADDING_MODES:
        raise ValueError(
            f"padding_mode must be one of {set(_PADDING_MODES)}, but got "
            f"padding_mode='{padding_mode}'")


class _Conv(_ConvNd):
    """A convolution over ``_dims`` dimensions."""

    _dims: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: str | Sizes = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:
        sizes = _ntuple(self._dims)
        super().__init__(
            in_channels, out_channels, sizes(kernel_size), sizes(stride),
            padding if isinstance(padding, str) else sizes(padding), sizes(dilation), False,
            sizes(0), groups, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, in_channels, *sizes) or (in_channels, *sizes)."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return self._function(  # type: ignore[no-any-return]
            input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def _function(self, *args: Any) -> Any:
        raise NotImplementedError


class Conv1d(_Conv):
    """Convolution over sequences of shape (N, C, L)."""

    _dims = 1

    def _function(self, *args: Any) -> Any:
        return F.conv1d(*args)


class Conv2d(_Conv):
    """Convolution over images of shape (N, C, H, W)."""

    _dims = 2

    def _function(self, *args: Any) -> Any:
        return F.conv2d(*args)


class Conv3d(_Conv):
    """Convolution over volumes of shape (N, C, D, H, W)."""

    _dims = 3

    def _function(self, *args: Any) -> Any:
        return F.conv3d(*args)
