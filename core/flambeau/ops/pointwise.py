"""Elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.promotion import computation_type, elementwise_plan, number, pointwise
from flambeau.registry import Plan, composite, primitive
from flambeau.samples import (
    ErrorSample,
    Make,
    Sample,
    binary,
    broadcast_errors,
    error,
    sample,
    unary,
    unary_errors,
)
from flambeau.tensor import Tensor

_to_float = pointwise(minimum="float")


def to_floating(x: Tensor) -> Tensor:
    """Integers and booleans as the default floating type, other tensors as they are."""
    if x._kind.dtype.category >= 2:
        return x
    return x.to(dtypes.get_default_dtype())


def floating_type(*operands: Any) -> dtypes.dtype:
    """The promoted dtype of operands, the default floating type for integers and booleans."""
    compute = computation_type(*operands)
    return compute if compute.category >= 2 else dtypes.get_default_dtype()


def as_tensors(self: Any, other: Any, what: dtypes.dtype) -> tuple[Tensor, Tensor]:
    """Two operands, of which one at least is a tensor, as tensors of a dtype."""
    from flambeau.ops.create import scalar_tensor

    place = (self if isinstance(self, Tensor) else other).device
    a, b = (
        x.to(what) if isinstance(x, Tensor) else scalar_tensor(x, dtype=what, device=place)
        for x in (self, other)
    )
    return a, b


# ---- of one tensor -----------------------------------------------------------------------------
def _no_bool(name: str, instead: str) -> dict[str, str]:
    return {"bool": f"{name}: a bool tensor is not supported. {instead}"}


neg = primitive(
    "neg(Tensor self) -> Tensor",
    doc="Negation, ``-x``.",
    rule=pointwise(refuse={
        "bool": "Negation, the `-` operator, on a bool tensor is not supported. If you are trying "
        "to invert a mask, use the `~` or `logical_not()` operator instead."
    }),
    template="unary", formula="-self", dtypes="numeric", inplace=True,
    aliases=("__neg__", "negative"),
    derivatives={"self": lambda g: -g}, samples=unary(), errors=unary_errors,
)


def _abs_grad(g: Tensor, self: Tensor) -> Any:
    return g * sgn(self) if self.dtype.is_complex else g * sign(self)


abs = primitive(
    "abs(Tensor self) -> Tensor",
    doc="Absolute value; the modulus of complex numbers.",
    rule=pointwise("real"),
    template="unary", formula="abs(self)", dtypes="numeric", inplace=True,
    aliases=("__abs__", "absolute"), derivatives={"self": _abs_grad}, samples=unary(),
    errors=unary_errors,
)

sign = primitive(
    "sign(Tensor self) -> Tensor",
    doc="-1, 0 or 1 by the sign of real numbers; 0 for NaN.",
    rule=pointwise(refuse={"complex": "Unlike NumPy, flambeau.sign doesn't allow complex tensors. "
                                      "Use flambeau.sgn() instead."}),
    template="unary", formula="sign(self)", dtypes="real", inplace=True,
    derivatives={"self": lambda g: zeros_like_gradient(g)},
    samples=unary(), errors=unary_errors,
)


def zeros_like_gradient(g: Tensor) -> Tensor:
    """The gradient of a function that is constant almost everywhere."""
    from flambeau.ops.create import zeros_like

    result: Tensor = zeros_like(g)
    return result


exp = primitive(
    "exp(Tensor self) -> Tensor",
    doc="The exponential function.",
    rule=_to_float, template="unary", formula="exp(self)", inplace=True,
    derivatives={"self": lambda g, out: g * out.conj()},
    samples=unary(), errors=unary_errors,
)

log = primitive(
    "log(Tensor self) -> Tensor",
    doc="The natural logarithm; NaN below 0, -inf at 0.",
    rule=_to_float, template="unary", formula="log(self)", inplace=True,
    derivatives={"self": lambda g, self: g / self.conj()},
    samples=unary(0.1, 4), errors=unary_errors,
)

sqrt = primitive(
    "sqrt(Tensor self) -> Tensor",
    doc="The square root.",
    rule=_to_float, template="unary", formula="sqrt(self)", inplace=True,
    derivatives={"self": lambda g, out: g / (2 * out.conj())},
    samples=unary(0.1, 4), errors=unary_errors,
)

sin = primitive(
    "sin(Tensor self) -> Tensor",
    doc="The sine of radians.",
    rule=_to_float, template="unary", formula="sin(self)", inplace=True,
    derivatives={"self": lambda g, self: g * self.cos().conj()},
    samples=unary(), errors=unary_errors,
)

cos = primitive(
    "cos(Tensor self) -> Tensor",
    doc="The cosine of radians.",
    rule=_to_float, template="unary", formula="cos(self)", inplace=True,
    derivatives={"self": lambda g, self: g * -sin(self).conj()},
    samples=unary(), errors=unary_errors,
)

tanh = primitive(
    "tanh(Tensor self) -> Tensor", namespaces=("", "nn.functional"),
    doc="The hyperbolic tangent.",
    rule=_to_float, template="unary", formula="tanh(self)", inplace=True,
    derivatives={"self": lambda g, out: g * (1 - out * out).conj()},
    samples=unary(), errors=unary_errors,
)

erf = primitive(
    "erf(Tensor self) -> Tensor", namespaces=("", "special"),
    doc="The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0.",
    rule=pointwise(minimum="float", refuse={"complex": "erf: complex is not supported"}),
    template="unary", formula="erf(self)", inplace=True,
    derivatives={"self": lambda g, self: g * (exp(-self * self) * 1.1283791670955126)},
    samples=unary(), errors=unary_errors,
)

log1p = primitive(
    "log1p(Tensor self) -> Tensor", namespaces=("", "special"),
    doc="log(1 + x), exact for small x.",
    rule=_to_float, template="unary", formula="log1p(self)", inplace=True,
    derivatives={"self": lambda g, self: g / (self + 1).conj()},
    samples=unary(-0.5, 4), errors=unary_errors,
)

expm1 = primitive(
    "expm1(Tensor self) -> Tensor", namespaces=("", "special"),
    doc="exp(x) - 1, exact for small x.",
    rule=_to_float, template="unary", formula="expm1(self)", inplace=True,
    derivatives={"self": lambda g, out: g * (out.conj() + 1)},
    samples=unary(), errors=unary_errors,
)

floor = primitive(
    "floor(Tensor self) -> Tensor",
    doc="The largest integer not above each value, in the same dtype.",
    rule=pointwise(refuse={"complex": "floor is not supported for complex inputs",
                           "bool": "floor is not implemented for bool"}),
    template="unary", formula="floor(self)", dtypes="real", inplace=True,
    aliases=("__floor__",),
    derivatives={"self": zeros_like_gradient}, samples=unary(), errors=unary_errors,
)

round_half_even = primitive(
    "round_half_even(Tensor self) -> Tensor",
    doc="The nearest integer, ties to even, in the same dtype.",
    rule=pointwise(refuse={"complex": "round is not supported for complex inputs",
                           "bool": "round is not implemented for bool"}),
    template="unary", formula="round(self)", dtypes="real", namespaces=("_internal",),
    derivatives={"self": zeros_like_gradient}, samples=unary(), errors=unary_errors,
)


# ---- of two operands ---------------------------------------------------------------------------
def _alpha(other: Any, alpha: Any, compute: dtypes.dtype) -> Any:
    if isinstance(alpha, bool) is False and compute.category < 2 and isinstance(alpha, float):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating "
                           "point number.")
    if not isinstance(other, Tensor):
        return other * alpha
    return mul(other, alpha)


def _sum_rule(name: str) -> Any:
    def rule(self: Any, other: Any, alpha: Any = 1) -> Plan:
        compute = computation_type(self, other)
        if name == "sub" and compute is dtypes.bool:
            raise RuntimeError(
                "Subtraction, the `-` operator, with two bool tensors is not supported. If you are "
                "trying to invert a mask, use the `~` or `logical_not()` operator instead."
            )
        if alpha != 1:
            from flambeau.autograd.grad_mode import no_grad

            with no_grad():
                other = _alpha(other, alpha, compute)
        return elementwise_plan((self, other), compute)

    return rule


def _scaled(g: Tensor, alpha: Any) -> Tensor:
    return g if alpha == 1 else g * alpha


def _add_samples(make: Make) -> Iterator[Sample]:
    yield from binary()(make)
    yield Sample((make(3, 4), make(4)), {"alpha": 2}, name="alpha")
    yield Sample((1.5, make(3)), name="number_first")


add = primitive(
    "add(Operand self, Operand other, *, Scalar alpha=1) -> Tensor",
    doc="The sum ``self + alpha * other``.",
    rule=_sum_rule("add"), template="binary", formula="self + alpha * other", dtypes="all",
    inplace=True, aliases=("__add__", "__radd__"),
    derivatives={"self": lambda g: g, "other": _scaled},
    samples=_add_samples, errors=broadcast_errors,
)

sub = primitive(
    "sub(Operand self, Operand other, *, Scalar alpha=1) -> Tensor",
    doc="The difference ``self - alpha * other``.",
    rule=_sum_rule("sub"), template="binary", formula="self - alpha * other", dtypes="numeric",
    inplace=True, aliases=("__sub__", "subtract"),
    derivatives={"self": lambda g: g, "other": lambda g, alpha: -_scaled(g, alpha)},
    samples=_add_samples, errors=broadcast_errors,
)

mul = primitive(
    "mul(Operand self, Operand other) -> Tensor",
    doc="The product of elements.",
    rule=pointwise(), template="binary", formula="self * other", dtypes="all",
    inplace=True, aliases=("__mul__", "__rmul__", "multiply"),
    derivatives={"self": lambda g, other: g * conj_of(other),
                 "other": lambda g, self: g * conj_of(self)},
    samples=binary(), errors=broadcast_errors,
)


def conj_of(operand: Any) -> Any:
    """The conjugate of a tensor or a number; real values as they are."""
    try:
        return operand.conj() if operand._kind.dtype.is_complex else operand
    except AttributeError:
        return operand.conjugate()


def _div_other(g: Tensor, self: Any, other: Any) -> Any:
    return -g * conj_of((self / other) / other)


true_divide = primitive(
    "true_divide(Operand self, Operand other) -> Tensor",
    doc="The quotient of elements; of integers too it is floating.",
    rule=_to_float, template="binary", formula="self / other", dtypes="all", inplace=True,
    aliases=("__truediv__",),
    derivatives={"self": lambda g, other: g / conj_of(other), "other": _div_other},
    samples=binary(0.5, 2), errors=broadcast_errors,
)


def _pow_rule(self: Any, exponent: Any) -> Plan:
    compute = computation_type(self, exponent)
    if compute.category == 1 and not isinstance(exponent, Tensor) and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    if compute is dtypes.bool:
        raise NotImplementedError(
            "pow is not implemented for bool. Convert one of the operands, say with .long().")
    return elementwise_plan((self, exponent), compute)


def _pow_self(g: Tensor, self: Any, exponent: Any) -> Any:
    if not isinstance(exponent, Tensor):
        if exponent == 0:
            return zeros_like_gradient(g)
        if exponent == 2:
            return g * conj_of(self * 2)
        return g * conj_of(exponent * self ** (exponent - 1))
    from flambeau.ops.compare import where

    power: Tensor = where(exponent == 0, 0.0, exponent * self ** (exponent - 1))
    return g * conj_of(power)


def _pow_exponent(g: Tensor, self: Any, exponent: Any, out: Tensor) -> Any:
    """d/dy x^y = x^y log x, and 0 where x is 0 and y is not negative."""
    from flambeau.ops.compare import where

    if not isinstance(self, Tensor):
        if self == 0:
            result: Tensor = where(exponent >= 0, zeros_like_gradient(g), g * float("-inf"))
            return result
        import cmath
        import math

        factor = cmath.log(self) if isinstance(self, complex) else (
            math.log(self) if self > 0 else math.nan)
        return g * conj_of(out * factor)
    zero_base = (self == 0) & (exponent >= 0) if not out.dtype.is_complex else self == 0
    safe = where(zero_base, 1.0, self)
    result = where(zero_base, 0.0, g * conj_of(out * log(safe)))
    return result


def _pow_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4, low=0.5, high=2), make(4)), name="broadcast")
    yield Sample((make(3, 4), 2), name="square")
    yield Sample((make(3, 4), 3.0), name="cube")
    yield Sample((make(3, 4), 0), name="zero")
    yield Sample((2.0, make(3, 4)), name="number_base")
    yield Sample((make(0, 3), 2), name="empty")


pow = primitive(
    "pow(Operand self, Operand exponent) -> Tensor",
    doc="Power of elements.",
    rule=_pow_rule, template="binary", formula="pow(self, exponent)", inplace=True,
    aliases=("__pow__",), derivatives={"self": _pow_self, "exponent": _pow_exponent},
    samples=_pow_samples, errors=broadcast_errors,
)

maximum = primitive(
    "maximum(Tensor self, Operand other) -> Tensor",
    doc="The greater of two elements; NaN if either is NaN.",
    rule=pointwise(refuse={"complex": "maximum not implemented for complex tensors."}),
    template="binary", formula="maximum(self, other)", dtypes="real",
    derivatives={"self": lambda g, self, other: _share(g, self, other, self < other),
                 "other": lambda g, self, other: _share(g, self, other, other < self)},
    samples=binary(), errors=broadcast_errors,
)

minimum = primitive(
    "minimum(Tensor self, Operand other) -> Tensor",
    doc="The smaller of two elements; NaN if either is NaN.",
    rule=pointwise(refuse={"complex": "minimum not implemented for complex tensors."}),
    template="binary", formula="minimum(self, other)", dtypes="real",
    derivatives={"self": lambda g, self, other: _share(g, self, other, other < self),
                 "other": lambda g, self, other: _share(g, self, other, self < other)},
    samples=binary(), errors=broadcast_errors,
)


def _share(g: Tensor, self: Any, other: Any, loses: Any) -> Any:
    """Nothing where this operand loses; half each where both are equal."""
    from flambeau.ops.compare import where

    return where(loses, 0.0, where(self == other, g * 0.5, g))


remainder = primitive(
    "remainder(Operand self, Operand other) -> Tensor",
    doc="The remainder with the sign of the divisor, as Python's ``%``.",
    rule=pointwise(refuse={"complex": "remainder is not supported for complex inputs",
                           "bool": "remainder is not implemented for bool"}),
    template="binary", formula="remainder(self, other)", dtypes="real", inplace=True,
    aliases=("__mod__",),
    derivatives={"self": lambda g: g,
                 "other": lambda g, self, other: -g * div(self, other, rounding_mode="floor")},
    samples=binary(0.7, 2), errors=broadcast_errors,
)

atan2 = primitive(
    "atan2(Tensor self, Operand other) -> Tensor",
    doc="The angle of the point (other, self), in (-pi, pi].",
    rule=pointwise(minimum="float", refuse={"complex": "atan2 is not supported for complex"}),
    template="binary", formula="atan2(self, other)", inplace=True, aliases=("arctan2",),
    derivatives={"self": lambda g, self, other: g * (other / (self * self + other * other)),
                 "other": lambda g, self, other: g * (-self / (self * self + other * other))},
    samples=binary(0.5, 2), errors=broadcast_errors,
)


def _div_errors(make: Make) -> Iterator[ErrorSample]:
    yield from broadcast_errors(make)
    yield error(RuntimeError, "rounding_mode", make(3), make(3), rounding_mode="up")


def _div_samples(make: Make) -> Iterator[Sample]:
    yield from binary(0.5, 2)(make)
    yield sample(make(3, 4), make(4, low=0.5, high=2), rounding_mode="trunc")
    yield sample(make(3, 4), make(4, low=0.5, high=2), rounding_mode="floor")


@composite(
    "div(Operand self, Operand other, *, str? rounding_mode=None) -> Tensor",
    samples=_div_samples, errors=_div_errors, inplace=True, aliases=("divide",), template="front",
)
def div(self: Any, other: Any, rounding_mode: str | None = None) -> Any:
    """The quotient of elements; ``rounding_mode`` None, "trunc" (towards 0) or "floor"."""
    if rounding_mode is None:
        quotient: Tensor = true_divide(self, other)
        return quotient
    from flambeau.ops.rounding import floor_divide, trunc_divide

    if rounding_mode == "trunc":
        return trunc_divide(self, other)
    if rounding_mode == "floor":
        floored: Tensor = floor_divide(self, other)
        return floored
    raise RuntimeError(
        "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
        f"'{rounding_mode}'"
    )


_div_in_place = div.op.inplace_function  # type: ignore[attr-defined]


def div_(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """The quotient of elements, in place."""
    if rounding_mode is None:
        return true_divide.op.inplace_function(self, other)  # type: ignore[attr-defined, no-any-return]
    return _div_in_place(self, other, rounding_mode=rounding_mode)  # type: ignore[no-any-return]


div.op.inplace_function = div_  # type: ignore[attr-defined]
for _name in ("div_", "divide_"):
    setattr(Tensor, _name, div_)


@composite(
    "rsub(Tensor self, Operand other, *, Scalar alpha=1) -> Tensor",
    formula="other - alpha * self", template="binary",
    samples=binary(),
    errors=broadcast_errors, aliases=("__rsub__",),
    derivatives={"self": lambda g, alpha: -_scaled(g, alpha), "other": lambda g: g},
)
def rsub(self: Tensor, other: Any, alpha: Any = 1) -> Any:
    """The difference ``other - alpha * self``."""
    return sub(other, self, alpha=alpha)


@composite(
    "rdiv(Tensor self, Operand other) -> Tensor",
    formula="other / self", template="binary", namespaces=("_internal",),
    aliases=("__rtruediv__", "__rdiv__"),
    derivatives={"self": lambda g, self, out: -g * conj_of(out / self),
                 "other": lambda g, self: g / conj_of(self)},
    samples=lambda make: iter([sample(make(3, 4, low=0.5, high=2), 2.0)]),
)
def rdiv(self: Tensor, other: Any) -> Any:
    """``other / self``: Python's operator with a number on the left."""
    return true_divide(other, self)


@composite(
    "positive(Tensor self) -> Tensor", dtypes="numeric", out=False, aliases=("__pos__",),
    samples=unary(), errors=unary_errors,
)
def positive(self: Tensor) -> Any:
    """The tensor itself."""
    if self.dtype is dtypes.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return self


@composite(
    "sgn(Tensor self) -> Tensor", samples=unary(), errors=unary_errors, dtypes="numeric",
    inplace=True,
)
def sgn(self: Tensor) -> Tensor:
    """``x / |x|``, 0 at 0; the sign of real numbers."""
    if not self.dtype.is_complex:
        signs: Tensor = sign(self)
        return signs
    from flambeau.ops.compare import where

    size = abs(self)
    result: Tensor = where(size == 0, number(0, self.dtype), self / where(size == 0, 1, size))
    return result
