"""Limiting, replacing and choosing values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.formulas import for_floats
from flambeau.ops.compare import isfinite, isnan, where
from flambeau.ops.pointwise import abs, atan2, maximum, minimum, to_floating, zeros_like_gradient
from flambeau.promotion import computation_type
from flambeau.registry import composite
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


# ---- limits ------------------------------------------------------------------------------------
def _check_bound(name: str, value: Any, compute: dtypes.dtype) -> None:
    if compute.category == 1 and not isinstance(value, Tensor) and value is not None:
        limits = dtypes.iinfo(compute)
        if not limits.min <= value <= limits.max:
            raise RuntimeError(
                f"{name}: value {value} cannot be converted to type {compute.name} without overflow"
            )


def _inside(self: Tensor, min: Any, max: Any) -> Any:
    if min is None:
        return self <= max
    return self >= min if max is None else (self >= min) & (self <= max)


def _clamp_samples(make: Make) -> Iterator[Sample]:
    for t in unary()(make):
        low: float = -0.5 if make.dtype.is_floating_point else 1
        yield sample(*t.args, low, low + 2)
    yield sample(make(3, 4), min=0)
    yield sample(make(3, 4), max=1)
    yield sample(make(3, 4), make(3, 4), make(4))
    yield sample(make(3, 4), max=make(3, 1))


def _clamp_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "At least one of 'min' or 'max' must not be None", make(3))
    yield error(RuntimeError, "must match the size", make(3), make(2))
    yield error(TypeError, "str", make(3), "1")


def _limited(self: Tensor, min: Any, max: Any) -> Any:
    result: Any = self
    if min is not None:
        result = maximum(result, min)
    return result if max is None else minimum(result, max)


def _limit_formula(self: Any, min: Any, max: Any) -> str | None:
    """Integers take tensors only: numbers must be looked at."""
    bounds = [b for b in (min, max) if b is not None]
    if self.dtype.is_complex or (self.dtype.category < 2 and not all(
            hasattr(b, "dtype") for b in bounds)):
        return None
    result = "self" if min is None else "maximum(self, min)"
    return result if max is None else f"minimum({result}, max)"


@composite(
    "clamp_to_numbers(Tensor self, Scalar? min, Scalar? max) -> Tensor",
    formula=_limit_formula,
    dtypes="real",
    namespaces=("_internal",), method=False, out=False, template="fused",
    samples=lambda make: iter([sample(make(3, 4), 0, 2), sample(make(3, 4), None, 1)]),
    joint=lambda g, needs, self, min, max: (where(_inside(self, min, max), g, 0.0),),
)
def clamp_to_numbers(self: Tensor, min: Any, max: Any) -> Any:
    """Values limited by numbers of the tensor's own category."""
    return _limited(self, min, max)


@composite(
    "clamp_to_tensors(Tensor self, Operand? min, Operand? max) -> Tensor",
    formula=_limit_formula,
    dtypes="real",
    namespaces=("_internal",), method=False, out=False,
    samples=lambda make: iter([sample(make(3, 4), make(4), None), sample(make(3), 1, make(3))]),
    derivatives={
        "self": lambda g, self, min, max: where(_inside(self, min, max), g, 0.0),
        "min": lambda g, self, min, max: where(
            self < min if max is None else (self < min) & (min < max), g, 0.0),
        "max": lambda g, self, min, max: where(
            self > max if min is None else (self > max) | (max < min), g, 0.0),
    },
)
def clamp_to_tensors(self: Tensor, min: Any, max: Any) -> Any:
    """Values limited by tensors, or by numbers that change the dtype."""
    bounds = [b for b in (min, max) if b is not None]
    compute = computation_type(self, *bounds)
    if compute.is_complex:
        raise RuntimeError("clamp is not supported for complex types")
    for bound in bounds:
        _check_bound("clamp", bound, compute)
    return _limited(*(t.to(compute) if isinstance(t, Tensor) else t for t in (self, min, max)))


@composite(
    "clamp(Tensor self, Operand? min=None, Operand? max=None) -> Tensor", template="front",
    dtypes="real", inplace=True, samples=_clamp_samples, errors=_clamp_errors, aliases=("clip",),
)
def clamp(self: Tensor, min: Any = None, max: Any = None) -> Any:
    """Values below ``min`` become ``min``, then those above ``max`` become ``max``."""
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if self.dtype.is_floating_point and not (isinstance(min, Tensor) or isinstance(max, Tensor)):
        return clamp_to_numbers(self, min, max)
    return clamp_to_tensors(self, min, max)


@composite(
    "clamp_min(Tensor self, Operand min) -> Tensor", dtypes="real", inplace=True,
    samples=binary(), errors=broadcast_errors,
)
def clamp_min(self: Tensor, min: Any) -> Any:
    """The greater of each value and a bound."""
    return clamp(self, min)


@composite(
    "clamp_max(Tensor self, Operand max) -> Tensor", dtypes="real", inplace=True,
    samples=binary(), errors=broadcast_errors,
)
def clamp_max(self: Tensor, max: Any) -> Any:
    """The smaller of each value and a bound."""
    return clamp(self, None, max)


# ---- NaN and infinity --------------------------------------------------------------------------
def _tensors_only(make: Make) -> Iterator[Sample]:
    return (s for s in binary()(make) if isinstance(s.args[1], Tensor))


@composite(
    "fmax(Tensor self, Tensor other) -> Tensor",
    formula="isnan(self) ? other : isnan(other) ? self : maximum(self, other)", template="binary",
    dtypes="real", samples=_tensors_only,
    errors=broadcast_errors,
    derivatives={
        "self": lambda g, self, other: where((self >= other) | isnan(other), g, 0.0),
        "other": lambda g, self, other: where((self >= other) | isnan(other), 0.0, g),
    },
)
def fmax(self: Tensor, other: Tensor) -> Any:
    """The greater of two elements; a number rather than NaN."""
    return where(isnan(self), other, where(isnan(other), self, maximum(self, other)))


@composite(
    "fmin(Tensor self, Tensor other) -> Tensor",
    formula="isnan(self) ? other : isnan(other) ? self : minimum(self, other)", template="binary",
    dtypes="real", samples=_tensors_only,
    errors=broadcast_errors,
    derivatives={
        "self": lambda g, self, other: where((self <= other) | isnan(other), g, 0.0),
        "other": lambda g, self, other: where((self <= other) | isnan(other), 0.0, g),
    },
)
def fmin(self: Tensor, other: Tensor) -> Any:
    """The smaller of two elements; a number rather than NaN."""
    return where(isnan(self), other, where(isnan(other), self, minimum(self, other)))


def _replacing_formula(self: Any, nan: Any, posinf: Any, neginf: Any) -> str | None:
    if self.dtype.category != 2:
        return None
    limits = dtypes.finfo(self.dtype)
    # As numbers: in a formula, `nan` is NaN and not the argument.
    values = [repr(float(value)) for value in (
        0.0 if nan is None else nan, limits.max if posinf is None else posinf,
        limits.min if neginf is None else neginf)]
    return (f"isnan(self) ? {values[0]} : self == inf ? {values[1]} : "
            f"self == -inf ? {values[2]} : self")


@composite(
    "nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
    formula=_replacing_formula,
    dtypes="all", inplace=True, derivatives={"self": lambda g, self: where(isfinite(self), g, 0.0)},
    samples=unary(), errors=unary_errors,
)
def nan_to_num(
    self: Tensor, nan: float | None = None, posinf: float | None = None,
    neginf: float | None = None,
) -> Any:
    """NaN becomes 0 and infinities the largest finite values, or what is given for them."""
    if self.dtype.category < 2:
        return self.clone()
    if self.dtype.is_complex:
        from flambeau.ops.complex import complex, imag, real

        return complex(*(nan_to_num(x, nan, posinf, neginf) for x in (real(self), imag(self))))
    limits = dtypes.finfo(self.dtype)
    above = limits.max if posinf is None else posinf
    below = limits.min if neginf is None else neginf
    result = where(self == float("inf"), above, self)
    result = where(self == float("-inf"), below, result)
    return where(isnan(self), 0.0 if nan is None else nan, result)


# ---- signs and steps ---------------------------------------------------------------------------
def _sign_formula(self: Any) -> str | None:
    """1 / -0 is negative."""
    if self.dtype.category == 2:
        return "self < 0 || (self == 0 && 1 / self < 0)"
    return None if self.dtype.is_complex else "self < 0"


@composite(
    "signbit(Tensor self) -> Tensor",
    formula=_sign_formula, template="unary", dtypes="real",
    samples=unary(), errors=unary_errors,
)
def signbit(self: Tensor) -> Any:
    """Where the sign bit is set: negative numbers and -0."""
    if self.dtype.is_complex:
        raise RuntimeError("signbit is not supported for complex tensors.")
    if self.dtype.category < 2:
        return self < 0
    return atan2(self, -1) < 0  # the angle of (-1, -0) is -pi


def _copysign_grad(g: Tensor, self: Tensor, out: Tensor) -> Any:
    return g * where(self == 0, 0.0, out / self)


@composite(
    "copysign(Tensor self, Operand other) -> Tensor",
    formula=for_floats("other < 0 || (other == 0 && 1 / other < 0) ? -abs(self) : abs(self)"),
    template="binary", inplace=True,
    derivatives={"self": _copysign_grad, "other": zeros_like_gradient},
    samples=binary(0.5, 2), errors=broadcast_errors,
)
def copysign(self: Tensor, other: Any) -> Any:
    """The size of one element with the sign of the other."""
    if not isinstance(other, Tensor):
        from flambeau.ops.create import scalar_tensor

        other = scalar_tensor(other, dtype=dtypes.float32, device=self.device)  # for its sign
        self = to_floating(self)
    size = abs(to_floating(self))
    return where(signbit(to_floating(other)), -size, size)


def _heaviside_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "same dtype", make(3), make.index(2, 3))
    yield error(RuntimeError, "must match the size", make(3), make(2))


@composite(
    "heaviside(Tensor self, Tensor values) -> Tensor",
    formula="self == 0 ? values : self > 0 ? 1 : 0",
    dtypes="real", inplace=True,
    samples=_tensors_only, errors=_heaviside_errors,
    derivatives={"self": zeros_like_gradient,
                 "values": lambda g, self: where(self == 0, g, 0.0)},
)
def heaviside(self: Tensor, values: Tensor) -> Any:
    """0 below zero, 1 above, and ``values`` at zero."""
    if self.dtype is not values.dtype:
        raise RuntimeError(
            "heaviside is not yet implemented for tensors with different dtypes: expected the "
            f"same dtype, got {self.dtype.name} and {values.dtype.name}"
        )
    return where(self == 0, values, (self > 0).to(self.dtype))
