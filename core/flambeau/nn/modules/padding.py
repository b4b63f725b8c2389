"""Padding layers."""

from __future__ import annotations

from flambeau.nn import functional as F
from flambeau.nn.modules.module import Module
from flambeau.nn.modules.utils import _ntuple
from flambeau.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

Sizes = int | tuple[int, ...]


class _Pad(Module):
    """Padding of the last ``_dims`` dimensions.

    Args:
        padding: one size for all sides, or (left, right, top, bottom, ...), from the last
            dimension on.
    """

    _dims: int
    _mode: str
    padding: tuple[int, ...]

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = _ntuple(2 * self._dims)(padding)

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The sizes and the value."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.padding}"


class _CircularPad(_Pad):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """The padded input.

        Raises:
            ValueError: for another number of dimensions than with or without a batch.
        """
        n = self._dims
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """Pads sequences with a constant."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """Pads images with a constant."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads volumes with a constant."""

    _dims = 3


class ZeroPad1d(_ZeroPad):
    """Pads sequences with zeros."""

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Pads images with zeros."""

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Pads volumes with zeros."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """Pads sequences with their mirror image."""

    _dims, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Pads images with their mirror image."""

    _dims, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Pads volumes with their mirror image."""

    _dims, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Pads sequences with their border."""

    _dims, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Pads images with their border."""

    _dims, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Pads volumes with their border."""

    _dims, _mode = 3, "replicate"


class CircularPad1d(_CircularPad):
    """Pads sequences with their other end."""

    _dims = 1


class CircularPad2d(_CircularPad):
    """Pads images with their other ends."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """Pads volumes with their other ends."""

    _dims = 3
