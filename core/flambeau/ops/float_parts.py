"""Mantissas and exponents of floating numbers, and their neighbours."""

from __future__ import annotations

import math
from typing import Any

from flambeau import dtypes, return_types
from flambeau.dtypes import finfo
from flambeau.ops.compare import isnan, where
from flambeau.ops.exponential import exp2
from flambeau.ops.pointwise import abs, as_tensors, floating_type, zeros_like_gradient
from flambeau.registry import composite
from flambeau.samples import broadcast_errors, error, sample, unary
from flambeau.tensor import Tensor

_BITS = {2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}


@composite(
    "ldexp(Tensor self, Tensor other) -> Tensor", inplace=True,
    samples=lambda make: iter([
        sample(make(3, 4), make(3, 4)), sample(make(3), make.index(5, 3))]),
    errors=broadcast_errors,
)
def ldexp(self: Tensor, other: Tensor) -> Any:
    """``self * 2^other``."""
    what = floating_type(self, other)
    x, power = as_tensors(self, other, what)
    return x * exp2(power)


def _exponent(size: Tensor) -> Any:
    """The integer e with ``2^(e - 1) <= size < 2^e``, from the bits of float32 and float64."""
    mantissa, bias = (23, 126) if size.itemsize == 4 else (52, 1022)
    bits = size.view(_BITS[size.itemsize])
    return (bits >> mantissa) - bias


@composite(
    "frexp(Tensor self) -> (Tensor mantissa, Tensor exponent)",
    derivatives={"self": lambda g, exponent: g * exp2(-exponent.to(g.dtype))},
    samples=unary(),
    errors=lambda make: iter([error(RuntimeError, "only supports floating", make.index(3, 3))]),
)
def frexp(self: Tensor) -> Any:
    """Mantissas in [1/2, 1) and exponents (int32) with ``self = mantissa * 2^exponent``."""
    if self.dtype.category != 2:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    if self.itemsize == 2:
        mantissa, exponent = frexp(self.float())
        return return_types.frexp((mantissa.to(self.dtype), exponent))
    least = finfo(self.dtype).tiny
    size = abs(self.contiguous())
    tiny = size < least  # subnormal numbers are brought up by an exact power of two
    lift = 64
    size = where(tiny, size * 2.0**lift, size)
    exponent = _exponent(size) - where(tiny, lift, 0).to(_BITS[self.itemsize])
    odd = (size == 0) | (size == math.inf) | isnan(size)
    exponent = where(odd, 0, exponent).to(dtypes.int32)
    half = (exponent / 2).floor()
    rest = exponent.to(self.dtype) - half.to(self.dtype)
    # in two steps: 2^-exponent itself may not be a number of the dtype
    mantissa = self * exp2(-half.to(self.dtype)) * exp2(-rest)
    return return_types.frexp((where(odd, self, mantissa), exponent))


@composite(
    "nextafter(Tensor self, Tensor other) -> Tensor", inplace=True,
    derivatives={
        "self": lambda g, self, other: where(self != other, g, 0.0),
        "other": lambda g: zeros_like_gradient(g)},
    samples=lambda make: iter([  # the result moves in steps, which differences do not see
        sample(make(3, 4, requires_grad=False), make(3, 4, requires_grad=False)),
        sample(make(3, requires_grad=False) * 0, make(3, requires_grad=False))]),
    errors=lambda make: iter([error(RuntimeError, "must match", make(3), make(4))]),
)
def nextafter(self: Tensor, other: Tensor) -> Any:
    """The next number of the dtype from ``self`` towards ``other``."""
    what = floating_type(self, other)
    x, y = as_tensors(self, other, what)
    from flambeau.ops.grid import broadcast_tensors

    x, y = (t.contiguous() for t in broadcast_tensors(x, y))
    integers = _BITS[what.itemsize]
    bits = x.view(integers)
    away = (y > x) == (x > 0)
    moved = where(away, bits + 1, bits - 1).to(integers).view(what)
    smallest = bits.new_ones(()).view(what)
    moved = where(x == 0, where(y > 0, smallest, -smallest), moved)
    result = where(x == y, y, moved)
    return where(isnan(x) | isnan(y), math.nan, result)

