"""Complex numbers and their parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from flambeau.kind import kind_of
from flambeau.layout import Layout
from flambeau.ops.pointwise import atan2, cos, sin, to_floating, zeros_like_gradient
from flambeau.registry import composite
from flambeau.samples import Make, Sample, error, sample, unary, unary_errors
from flambeau.tensor import Tensor, from_storage


def _wide(make: Make, samples: list[Sample]) -> Iterator[Sample]:
    """No complex type is made of two halves: such samples only for wider types."""
    return iter(samples if make.dtype.itemsize > 2 else ())


def _check_wide(name: str, t: Tensor) -> None:
    if not t.dtype.is_floating_point or t.dtype.itemsize == 2:
        raise RuntimeError(
            f"{name}: Expected float32 or float64 tensors but got {t.dtype.name}; there is no "
            "complex type of halves, convert with .float()")


def _real_view(self: Tensor) -> Tensor:
    """The real view of complex memory: another dtype over the same storage."""
    if not self.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    held = self.layout_()
    layout = Layout.of(
        (*held.shape, 2), (*(2 * s for s in held.strides), 1), 2 * held.offset)
    return from_storage(kind_of(self.device, self.dtype.to_real()), self.storage_(), layout)


@composite(
    "view_as_real(Tensor self) -> Tensor", dtypes="complex", out=False,
    derivatives={"self": lambda g: view_as_complex(g.contiguous())},
    samples=unary(), errors=lambda make: iter([error(RuntimeError, "complex", make.index(2, 3))]),
)
def view_as_real(self: Tensor) -> Tensor:
    """A view of complex numbers as pairs (real, imaginary) in a new last dimension."""
    return _real_view(self)


@composite(
    "view_as_complex(Tensor self) -> Tensor", out=False,
    derivatives={"self": lambda g: view_as_real(g.contiguous())},
    samples=lambda make: _wide(make, [sample(make(3, 2)), sample(make(2, 4, 2))]),
    errors=lambda make: iter([error(RuntimeError, "size 2", make(3, 3))]),
)
def view_as_complex(self: Tensor) -> Tensor:
    """A view of pairs (real, imaginary) in the last dimension as complex numbers."""
    held = self.layout_()
    _check_wide("view_as_complex", self)
    if not held.ndim or held.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if held.strides[-1] != 1 or held.offset % 2 or any(s % 2 for s in held.strides[:-1]):
        raise RuntimeError("Tensor must have a last dimension with stride 1 and even strides")
    layout = Layout.of(held.shape[:-1], [s // 2 for s in held.strides[:-1]], held.offset // 2)
    return from_storage(kind_of(self.device, self.dtype.to_complex()), self.storage_(), layout)


@composite(
    "view_as_real_copy(Tensor self) -> Tensor", dtypes="complex", method=False,
    samples=unary(), errors=lambda make: iter([error(RuntimeError, "complex", make.index(2, 3))]),
)
def view_as_real_copy(self: Tensor) -> Tensor:
    """Complex numbers as pairs (real, imaginary) in a new last dimension, as a copy."""
    return view_as_real(self).clone()  # type: ignore[no-any-return]


@composite(
    "view_as_complex_copy(Tensor self) -> Tensor", method=False,
    samples=lambda make: _wide(make, [sample(make(3, 2)), sample(make(2, 4, 2))]),
    errors=lambda make: iter([error(RuntimeError, "size 2", make(3, 3))]),
)
def view_as_complex_copy(self: Tensor) -> Tensor:
    """Pairs (real, imaginary) in the last dimension as complex numbers, as a copy."""
    return view_as_complex(self).clone()  # type: ignore[no-any-return]


@composite("conj(Tensor self) -> Tensor", dtypes="all", out=False, samples=unary(),
           errors=unary_errors)
def conj(self: Tensor) -> Any:
    """The complex conjugate; real tensors as they are."""
    return complex(real(self), -imag(self)) if self.dtype.is_complex else self


@composite("conj_physical(Tensor self) -> Tensor", dtypes="all", inplace=True, samples=unary(),
           errors=unary_errors)
def conj_physical(self: Tensor) -> Any:
    """The complex conjugate; real tensors as they are."""
    return conj(self)


@composite("resolve_conj(Tensor self) -> Tensor", dtypes="all", out=False, samples=unary(),
           errors=unary_errors)
def resolve_conj(self: Tensor) -> Any:
    """The tensor itself: conjugation is never put off here."""
    return self


@composite("resolve_neg(Tensor self) -> Tensor", dtypes="all", out=False, samples=unary(),
           errors=unary_errors)
def resolve_neg(self: Tensor) -> Any:
    """The tensor itself: negation is never put off here."""
    return self


def real(input: Tensor) -> Tensor:
    """The real part, a view; real tensors as they are."""
    if not input.dtype.is_complex:
        return input
    return view_as_real(input).select(-1, 0)  # type: ignore[no-any-return]


def imag(input: Tensor) -> Tensor:
    """The imaginary part, a view.

    Raises:
        RuntimeError: for real tensors.
    """
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return view_as_real(input).select(-1, 1)  # type: ignore[no-any-return]


@composite(
    "complex(Tensor real, Tensor imag) -> Tensor", dtypes="floating", method=False,
    samples=lambda make: _wide(make, [sample(make(3), make(3))]),
    errors=lambda make: iter([
        error(RuntimeError, "same dtype|Expected", make(3), make.index(2, 3))]),
)
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """Complex numbers from their parts."""
    from flambeau.ops.join import stack

    _check_wide("complex", real)
    if real.dtype is not imag.dtype or not real.dtype.is_floating_point:
        raise RuntimeError(
            "Expected both inputs to be floating tensors of the same dtype but got "
            f"{real.dtype.name} and {imag.dtype.name}")
    from flambeau.layout import broadcast_shapes

    shape = broadcast_shapes(real.shape, imag.shape)
    result: Tensor = view_as_complex(stack([real.expand(shape), imag.expand(shape)], -1))
    return result


setattr(Tensor, "real", property(real))  # noqa: B010
setattr(Tensor, "imag", property(imag))  # noqa: B010


def _angle_grad(g: Tensor, self: Tensor) -> Any:
    if not self.dtype.is_complex:
        return zeros_like_gradient(g)
    from flambeau.ops.compare import where

    a, b = real(self), imag(self)
    square = a * a + b * b
    turn = where(square == 0, 0.0, g / where(square == 0, 1.0, square))
    return complex(-b * turn, a * turn)


@composite(
    "angle(Tensor self) -> Tensor", dtypes="all", derivatives={"self": _angle_grad},
    samples=unary(), errors=unary_errors,
)
def angle(self: Tensor) -> Any:
    """The angle of complex numbers in radians; of real ones 0, or pi below 0, and NaN of NaN."""
    if self.dtype.is_complex:
        return atan2(imag(self), real(self))
    from flambeau.ops.compare import isnan, where

    x = to_floating(self)
    return where(isnan(x), x, where(x < 0, math.pi, x * 0))


@composite(
    "polar(Tensor abs, Tensor angle) -> Tensor", dtypes="floating", method=False,
    samples=lambda make: _wide(make, [
        sample(make(3, low=0), make(3)), sample(make(3, 1, low=0), make(2))]),
    errors=lambda make: iter([
        error(RuntimeError, "must be|same dtype|Expected", make(3), make(3).double().half())]),
)
def polar(abs: Tensor, angle: Tensor) -> Any:
    """Complex numbers from their sizes and angles."""
    if abs.dtype is not angle.dtype:
        raise RuntimeError(
            f"polar: abs and angle must be of one dtype, got {abs.dtype.name} and "
            f"{angle.dtype.name}")
    return complex(abs * cos(angle), abs * sin(angle))
