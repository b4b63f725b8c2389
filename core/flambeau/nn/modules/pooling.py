"""Pooling layers: maximum, average, power average.  Adaptive ones have a file of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau.nn import functional as F
from flambeau.nn.modules.module import Module
from flambeau.nn.modules.utils import _ntuple
from flambeau.tensor import Tensor

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]

Sizes = int | tuple[int, ...]


# ---- maximum -----------------------------------------------------------------------------------
class _MaxPoolNd(Module):
    """The greatest value of each window.

    Args:
        stride: the window's own size by default.
        return_indices: give the positions of the maxima too, for ``MaxUnpool``.
        ceil_mode: a window that reaches over the end counts too.
    """

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1, return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def _settings(self) -> dict[str, Any]:
        return {"ceil_mode": self.ceil_mode, "return_indices": self.return_indices}

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool1d(_MaxPoolNd):
    """Maximum over windows of sequences."""

    def forward(self, input: Tensor) -> Any:
        """Shape (N, C, L) or (C, L)."""
        return F.max_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, **self._settings())


class MaxPool2d(_MaxPoolNd):
    """Maximum over windows of images."""

    def forward(self, input: Tensor) -> Any:
        """Shape (N, C, H, W) or (C, H, W)."""
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, **self._settings())


class MaxPool3d(_MaxPoolNd):
    """Maximum over windows of volumes."""

    def forward(self, input: Tensor) -> Any:
        """Shape (N, C, D, H, W) or (C, D, H, W)."""
        return F.max_pool3d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, **self._settings())


class _MaxUnpoolNd(Module):
    """Puts maxima back to where they came from, zeros elsewhere."""

    _dims: int

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0
    ) -> None:
        super().__init__()
        sizes = _ntuple(self._dims)
        self.kernel_size = sizes(kernel_size)
        self.stride = sizes(kernel_size if stride is None else stride)
        self.padding = sizes(padding)

    def extra_repr(self) -> str:
        """The settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """The inverse of ``MaxPool1d``."""

    _dims = 1

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """``indices`` and ``output_size`` as pooling had them."""
        return F.max_unpool1d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    """The inverse of ``MaxPool2d``."""

    _dims = 2

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """``indices`` and ``output_size`` as pooling had them."""
        return F.max_unpool2d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    """The inverse of ``MaxPool3d``."""

    _dims = 3

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """``indices`` and ``output_size`` as pooling had them."""
        return F.max_unpool3d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size)


# ---- average -----------------------------------------------------------------------------------
class _AvgPoolNd(Module):
    """The mean of each window."""

    def extra_repr(self) -> str:
        """The settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """Mean over windows of sequences.

    Args:
        count_include_pad: the padding counts as values.
    """

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        single = _ntuple(1)
        self.kernel_size = single(kernel_size)
        self.stride = single(kernel_size if stride is None else stride)
        self.padding = single(padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, L) or (C, L)."""
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad)


class _AvgPoolWithDivisor(_AvgPoolNd):
    """Args as ``AvgPool1d``; ``divisor_override`` takes the place of the number of values."""

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override


class AvgPool2d(_AvgPoolWithDivisor):
    """Mean over windows of images."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, H, W) or (C, H, W)."""
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override)


class AvgPool3d(_AvgPoolWithDivisor):
    """Mean over windows of volumes."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, D, H, W) or (C, D, H, W)."""
        return F.avg_pool3d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override)


# ---- power average -------------------------------------------------------------------------------
class _LPPoolNd(Module):
    """``sum(x ** norm_type) ** (1 / norm_type)`` of each window."""

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}")


class LPPool1d(_LPPoolNd):
    """Power average over windows of sequences."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, L) or (C, L)."""
        return F.lp_pool1d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPoolNd):
    """Power average over windows of images."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, H, W) or (C, H, W)."""
        return F.lp_pool2d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPoolNd):
    """Power average over windows of volumes."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, D, H, W) or (C, D, H, W)."""
        return F.lp_pool3d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
