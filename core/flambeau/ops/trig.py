"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from typing import Any

from flambeau.formulas import for_floats, for_reals
from flambeau.ops.compare import where
from flambeau.ops.pointwise import (
    abs,
    atan2,
    conj_of,
    cos,
    exp,
    expm1,
    log,
    log1p,
    mul,
    sgn,
    sin,
    sqrt,
    tanh,
    to_floating,
)
from flambeau.ops.power import rsqrt
from flambeau.registry import composite
from flambeau.samples import unary, unary_errors
from flambeau.tensor import Tensor


@composite(
    "tan(Tensor self) -> Tensor",
    formula=for_reals("tan(self)"), template="unary", dtypes="floating_complex", inplace=True,
    derivatives={"self": lambda g, out: g * conj_of(1 + out * out)},
    samples=unary(-1, 1), errors=unary_errors,
)
def tan(self: Tensor) -> Any:
    """The tangent of radians."""
    if self.dtype.is_complex:  # sin and cos overflow where their quotient is still finite
        turned = tanh(mul(self, 1j))
        return mul(turned, -1j)
    return sin(self) / cos(self)


@composite(
    "asin(Tensor self) -> Tensor",
    formula=for_reals("asin(self)"), template="unary",
    dtypes="floating_complex", inplace=True, aliases=("arcsin",),
    derivatives={"self": lambda g, self: g * conj_of(rsqrt(1 - self * self))},
    samples=unary(-0.9, 0.9), errors=unary_errors,
)
def asin(self: Tensor) -> Any:
    """The inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""
    self = to_floating(self)
    if self.dtype.is_complex:
        return mul(asinh(mul(self, 1j)), -1j)
    return atan2(self, sqrt((1 - self) * (1 + self)))


@composite(
    "acos(Tensor self) -> Tensor",
    formula=for_reals("acos(self)"), template="unary",
    dtypes="floating_complex", inplace=True, aliases=("arccos",),
    derivatives={"self": lambda g, self: -g * conj_of(rsqrt(1 - self * self))},
    samples=unary(-0.9, 0.9), errors=unary_errors,
)
def acos(self: Tensor) -> Any:
    """The inverse cosine, in [0, pi]; NaN outside [-1, 1]."""
    self = to_floating(self)
    if self.dtype.is_complex:
        return math.pi / 2 - asin(self)
    return atan2(sqrt((1 - self) * (1 + self)), self)


@composite(
    "atan(Tensor self) -> Tensor",
    formula=for_reals("atan(self)"), template="unary",
    dtypes="floating_complex", inplace=True, aliases=("arctan",),
    derivatives={"self": lambda g, self: g / conj_of(1 + self * self)},
    samples=unary(), errors=unary_errors,
)
def atan(self: Tensor) -> Any:
    """The inverse tangent, in [-pi/2, pi/2]."""
    if self.dtype.is_complex:
        return mul(atanh(mul(self, 1j)), -1j)
    return atan2(self, 1)


@composite(
    "sinh(Tensor self) -> Tensor",
    formula=for_reals("sinh(self)"), template="unary", dtypes="floating_complex", inplace=True,
    derivatives={"self": lambda g, self: g * conj_of(cosh(self))},
    samples=unary(), errors=unary_errors,
)
def sinh(self: Tensor) -> Any:
    """The hyperbolic sine."""
    self = to_floating(self)
    if self.dtype.is_complex:
        return (exp(self) - exp(-self)) / 2
    # e^|x| - 1 is exact near 0; its square root taken twice keeps large values from overflowing.
    grown = expm1(abs(self))
    small = (grown + grown / (grown + 1)) / 2
    root = exp(abs(self) / 2)
    return sgn(self) * where(abs(self) < 20, small, root * (root / 2))


@composite(
    "cosh(Tensor self) -> Tensor",
    formula=for_reals("cosh(self)"), template="unary", dtypes="floating_complex", inplace=True,
    derivatives={"self": lambda g, self: g * conj_of(sinh(self))},
    samples=unary(), errors=unary_errors,
)
def cosh(self: Tensor) -> Any:
    """The hyperbolic cosine."""
    self = to_floating(self)
    if self.dtype.is_complex:
        return (exp(self) + exp(-self)) / 2
    root = exp(abs(self) / 2)  # twice its half square does not overflow before the result does
    return root * (root / 2) + exp(-abs(self)) / 2


@composite(
    "asinh(Tensor self) -> Tensor",
    formula=for_reals("asinh(self)"), template="unary",
    dtypes="floating_complex", inplace=True, aliases=("arcsinh",),
    derivatives={"self": lambda g, self: g * conj_of(rsqrt(1 + self * self))},
    samples=unary(), errors=unary_errors,
)
def asinh(self: Tensor) -> Any:
    """The inverse hyperbolic sine."""
    self = to_floating(self)
    if self.dtype.is_complex:
        return log(self + sqrt(self * self + 1))
    size = abs(self)
    near = log1p(size + size * size / (1 + sqrt(1 + size * size)))
    far = log(size) + log(1 + sqrt(1 + (1 / size) * (1 / size)))  # squares of x may overflow
    return sgn(self) * where(size < 2, near, far)


@composite(
    "acosh(Tensor self) -> Tensor",
    formula=for_reals("acosh(self)"), template="unary",
    dtypes="floating_complex", inplace=True, aliases=("arccosh",),
    derivatives={"self": lambda g, self: g * conj_of(rsqrt(self - 1) * rsqrt(self + 1))},
    samples=unary(1.1, 4), errors=unary_errors,
)
def acosh(self: Tensor) -> Any:
    """The inverse hyperbolic cosine; NaN below 1."""
    self = to_floating(self)
    if self.dtype.is_complex:
        return log(self + sqrt(self + 1) * sqrt(self - 1))
    above = self - 1
    near = log1p(above + sqrt(above * (self + 1)))
    far = log(self) + log(1 + sqrt(1 - (1 / self) * (1 / self)))
    return where(self < 2, near, far)


@composite(
    "atanh(Tensor self) -> Tensor",
    formula=for_reals("atanh(self)"), template="unary",
    dtypes="floating_complex", inplace=True, aliases=("arctanh",),
    derivatives={"self": lambda g, self: g / conj_of(1 - self * self)},
    samples=unary(-0.9, 0.9), errors=unary_errors,
)
def atanh(self: Tensor) -> Any:
    """The inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond."""
    self = to_floating(self)
    if self.dtype.is_complex:
        return (log(1 + self) - log(1 - self)) / 2
    return log1p(2 * self / (1 - self)) / 2


def _sinc_grad(g: Tensor, self: Tensor) -> Any:
    x = where(self == 0, 1.0, self)  # any value: its slope is not used
    turns = x * math.pi
    slope = (turns * cos(turns) - sin(turns)) / (turns * x)
    return g * conj_of(where(self == 0, 0.0, slope))


@composite(
    "sinc(Tensor self) -> Tensor",
    formula=for_reals(f"t = self * {math.pi!r}; self == 0 ? 1 : sin(t) / t"),
    namespaces=("", "special"), dtypes="floating_complex",
    inplace=True,
    derivatives={"self": _sinc_grad}, samples=unary(), errors=unary_errors,
)
def sinc(self: Tensor) -> Any:
    """sin(pi x) / (pi x), and 1 at 0."""
    turns = to_floating(self) * math.pi
    return where(self == 0, 1.0, sin(turns) / turns)


@composite(
    "deg2rad(Tensor self) -> Tensor",
    formula=for_floats(f"self * {math.pi / 180!r}"),
    dtypes="floating", inplace=True,
    derivatives={"self": lambda g: g * (math.pi / 180)}, samples=unary(), errors=unary_errors,
)
def deg2rad(self: Tensor) -> Any:
    """Degrees as radians."""
    _real_angle("deg2rad", self)
    return to_floating(self) * (math.pi / 180)


@composite(
    "rad2deg(Tensor self) -> Tensor",
    formula=for_floats(f"self * {180 / math.pi!r}"),
    dtypes="floating", inplace=True,
    derivatives={"self": lambda g: g * (180 / math.pi)}, samples=unary(), errors=unary_errors,
)
def rad2deg(self: Tensor) -> Any:
    """Radians as degrees."""
    _real_angle("rad2deg", self)
    return to_floating(self) * (180 / math.pi)


def _real_angle(name: str, self: Tensor) -> None:
    if self.dtype.is_complex:
        raise RuntimeError(f"{name} is not supported for complex tensors.")


