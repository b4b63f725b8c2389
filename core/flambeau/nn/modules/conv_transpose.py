"""Transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau.nn import functional as F
from flambeau.nn.modules.conv import Sizes, _ConvNd
from flambeau.nn.modules.utils import _ntuple
from flambeau.tensor import Tensor

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution over ``_dims`` dimensions."""

    _dims: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {type(self).__name__}')
        sizes = _ntuple(self._dims)
        super().__init__(
            in_channels, out_channels, sizes(kernel_size), sizes(stride), sizes(padding),
            sizes(dilation), True, sizes(output_padding), groups, bias, padding_mode, device,
            dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Shape (N, in_channels, *sizes) or (in_channels, *sizes).

        Args:
            output_size: which of the sizes that the strides allow is wanted; it determines the
                output padding.
        """
        extra = self._output_padding(input, output_size)
        return self._function(  # type: ignore[no-any-return]
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation)

    def _function(self, *args: Any) -> Any:
        raise NotImplementedError

    def _output_padding(
        self, input: Tensor, output_size: Sequence[int] | None
    ) -> tuple[int, ...]:
        if output_size is None:
            return self.output_padding
        n = self._dims
        wanted = list(output_size)
        if input.dim() == n + 2 and len(wanted) == n + 2:
            wanted = wanted[2:]
        elif input.dim() == n + 1 and len(wanted) == n + 1:
            wanted = wanted[1:]
        if len(wanted) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.dim()}D input, output_size must have {n} or "
                f"{input.dim()} elements (got {len(wanted)})")
        least = [self._least(input, d) for d in range(n)]
        most = [low + self.stride[d] - 1 for d, low in enumerate(least)]
        if any(not low <= w <= high for w, low, high in zip(wanted, least, most, strict=True)):
            raise ValueError(
                f"requested an output size of {tuple(output_size)}, but valid sizes range from "
                f"{least} to {most} (for an input of {list(input.size()[-n:])})")
        return tuple(w - low for w, low in zip(wanted, least, strict=True))

    def _least(self, input: Tensor, d: int) -> int:
        """The smallest size of output dimension ``d``: that without output padding."""
        size = input.size(d - self._dims)
        covered = self.dilation[d] * (self.kernel_size[d] - 1) + 1
        padding = self.padding[d]
        assert isinstance(padding, int) and isinstance(size, int)
        return (size - 1) * self.stride[d] - 2 * padding + covered


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution over sequences of shape (N, C, L)."""

    _dims = 1

    def _function(self, *args: Any) -> Any:
        return F.conv_transpose1d(*args)


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution over images of shape (N, C, H, W)."""

    _dims = 2

    def _function(self, *args: Any) -> Any:
        return F.conv_transpose2d(*args)


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution over volumes of shape (N, C, D, H, W)."""

    _dims = 3

    def _function(self, *args: Any) -> Any:
        return F.conv_transpose3d(*args)
