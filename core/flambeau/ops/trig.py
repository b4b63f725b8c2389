"""Trigonometric and hyperbolic functions, from the primitives that are exact enough."""

from __future__ import annotations

from typing import Any

from flambeau import dtypes
from flambeau.ops.compare import where
from flambeau.ops.pointwise import abs, atan2, cos, exp, expm1, log, log1p, sin, sqrt
from flambeau.registry import composite
from flambeau.samples import unary, unary_errors
from flambeau.tensor import Tensor


def _floating(self: Tensor) -> Tensor:
    return self if self.dtype.category >= 2 else self.to(dtypes.get_default_dtype())


def _facts(low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"samples": unary(low, high), "errors": unary_errors, "inplace": True}


@composite(
    "tan(Tensor self) -> Tensor", derivatives={"self": lambda g, out: g * (1 + out * out).conj()},
    **_facts(-1, 1),
)
def tan(self: Tensor) -> Tensor:
    """The tangent of radians."""
    result: Tensor = sin(self) / cos(self)
    return result


@composite(
    "atan(Tensor self) -> Tensor", aliases=("arctan",),
    derivatives={"self": lambda g, self: g / (1 + self * self)}, **_facts(),
)
def atan(self: Tensor) -> Tensor:
    """The angle whose tangent this is, in (-pi/2, pi/2)."""
    result: Tensor = atan2(self, 1.0)
    return result


@composite(
    "asin(Tensor self) -> Tensor", aliases=("arcsin",),
    derivatives={"self": lambda g, self: g / sqrt((1 - self) * (1 + self))}, **_facts(-0.9, 0.9),
)
def asin(self: Tensor) -> Tensor:
    """The angle whose sine this is; NaN outside [-1, 1]."""
    self = _floating(self)
    result: Tensor = atan2(self, sqrt((1 - self) * (1 + self)))
    return result


@composite(
    "acos(Tensor self) -> Tensor", aliases=("arccos",),
    derivatives={"self": lambda g, self: -g / sqrt((1 - self) * (1 + self))}, **_facts(-0.9, 0.9),
)
def acos(self: Tensor) -> Tensor:
    """The angle whose cosine this is; NaN outside [-1, 1]."""
    self = _floating(self)
    result: Tensor = atan2(sqrt((1 - self) * (1 + self)), self)
    return result


@composite(
    "sinh(Tensor self) -> Tensor", derivatives={"self": lambda g, self: g * cosh(self).conj()},
    **_facts(),
)
def sinh(self: Tensor) -> Tensor:
    """The hyperbolic sine, (exp(x) - exp(-x)) / 2, exact for small x."""
    x = _floating(self)
    if x.dtype.is_complex:
        return (exp(x) - exp(-x)) * 0.5  # type: ignore[no-any-return]
    e = expm1(abs(x))
    size = where(e.isinf(), e * 0.5, (e + e / (e + 1)) * 0.5)
    result: Tensor = where(x < 0, -size, size)
    return result


@composite(
    "cosh(Tensor self) -> Tensor", derivatives={"self": lambda g, self: g * sinh(self).conj()},
    **_facts(),
)
def cosh(self: Tensor) -> Tensor:
    """The hyperbolic cosine, (exp(x) + exp(-x)) / 2."""
    x = _floating(self)
    result: Tensor = exp(x) * 0.5 + exp(-x) * 0.5
    return result


@composite(
    "asinh(Tensor self) -> Tensor", aliases=("arcsinh",),
    derivatives={"self": lambda g, self: g / sqrt(self * self + 1)}, **_facts(),
)
def asinh(self: Tensor) -> Tensor:
    """The inverse of the hyperbolic sine, log(x + sqrt(x^2 + 1)), exact for small x."""
    x = _floating(self)
    size = abs(x)
    square = x * x
    small = log1p(size + square / (1 + sqrt(square + 1)))
    value = where(square.isinf(), log(size) + 0.6931471805599453, small)
    result: Tensor = where(x < 0, -value, value)
    return where(x == 0, x, result)  # type: ignore[no-any-return]


@composite(
    "acosh(Tensor self) -> Tensor", aliases=("arccosh",),
    derivatives={"self": lambda g, self: g / sqrt((self - 1) * (self + 1))}, **_facts(1.2, 4),
)
def acosh(self: Tensor) -> Tensor:
    """The inverse of the hyperbolic cosine; NaN below 1."""
    x = _floating(self)
    t = x - 1
    small = log1p(t + sqrt(t * (x + 1)))
    result: Tensor = where((x * x).isinf(), log(x) + 0.6931471805599453, small)
    return result


@composite(
    "atanh(Tensor self) -> Tensor", aliases=("arctanh",),
    derivatives={"self": lambda g, self: g / (1 - self * self)}, **_facts(-0.9, 0.9),
)
def atanh(self: Tensor) -> Tensor:
    """The inverse of the hyperbolic tangent; NaN outside [-1, 1]."""
    x = _floating(self)
    result: Tensor = log1p(2 * x / (1 - x)) * 0.5
    return result
