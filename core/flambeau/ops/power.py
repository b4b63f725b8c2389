"""Powers, roots and reciprocals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.formulas import for_reals
from flambeau.ops.compare import where
from flambeau.ops.pointwise import abs, conj_of, maximum, minimum, pow, sqrt, to_floating
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


@composite(
    "reciprocal(Tensor self) -> Tensor",
    formula="1 / self", template="unary", dtypes="floating_complex", inplace=True,
    derivatives={"self": lambda g, out: -g * conj_of(out * out)},
    samples=unary(0.5, 4), errors=unary_errors,
)
def reciprocal(self: Tensor) -> Any:
    """1 / x."""
    return 1 / self


@composite(
    "rsqrt(Tensor self) -> Tensor",
    formula="1 / sqrt(self)", template="unary", dtypes="floating_complex", inplace=True,
    derivatives={"self": lambda g, out: g * conj_of(out * out * out) * -0.5},
    samples=unary(0.5, 4), errors=unary_errors,
)
def rsqrt(self: Tensor) -> Any:
    """1 / sqrt(x)."""
    return 1 / sqrt(self)


@composite(
    "square(Tensor self) -> Tensor",
    formula="self * self", template="unary", dtypes="numeric", inplace=True,
    derivatives={"self": lambda g, self: g * conj_of(self * 2)},
    samples=unary(), errors=unary_errors,
)
def square(self: Tensor) -> Any:
    """x times x."""
    if self.dtype is dtypes.bool:
        return self.to(dtypes.int64)
    return self * self


@composite(
    "rpow(Tensor self, Operand other) -> Tensor", namespaces=("_internal",),
    aliases=("__rpow__",), samples=lambda make: iter([sample(make(3, 4), 2.0)]),
)
def rpow(self: Tensor, other: Any) -> Any:
    """``other`` to the power of ``self``: Python's operator with a number on the left."""
    return pow(other, self)


def _float_power_samples(make: Make) -> Iterator[Sample]:
    yield from binary(0.5, 2)(make)
    yield sample(make(3, 4, low=0.5, high=2), make(4))
    yield sample(make.index(5, 3), 2)


@composite(
    "float_power(Operand self, Operand exponent) -> Tensor", samples=_float_power_samples,
    errors=broadcast_errors,
)
def float_power(self: Any, exponent: Any) -> Any:
    """The power of elements in double precision, whatever the inputs are."""
    is_complex = computation_type(self, exponent).is_complex
    wide = dtypes.complex128 if is_complex else dtypes.float64
    return pow(*(x.to(wide) if isinstance(x, Tensor) else x for x in (self, exponent)))


def float_power_(self: Tensor, exponent: Any) -> Any:
    """The in-place form of :func:`float_power`, for tensors that are already of double precision.

    Raises:
        RuntimeError: for other dtypes.
    """
    is_complex = computation_type(self, exponent).is_complex
    wide = dtypes.complex128 if is_complex else dtypes.float64
    if self.dtype is not wide:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype.name} but the operation's "
            f"result requires dtype {wide.name}"
        )
    return self.pow_(exponent)


setattr(Tensor, "float_power_", float_power_)  # noqa: B010


def _hypot_errors(make: Make) -> Iterator[ErrorSample]:
    yield from broadcast_errors(make)
    yield error(RuntimeError, "complex", make(3).to(dtypes.complex64), make(3))


@composite(
    "hypot(Tensor self, Tensor other) -> Tensor",
    formula=for_reals(
        "l = maximum(abs(self), abs(other)); s = minimum(abs(self), abs(other));"
        "r = l == 0 ? 0 : s / l; l == inf ? l : l * sqrt(1 + r * r)"),
    template="binary", inplace=True,
    derivatives={"self": lambda g, self, out: g * (self / out),
                 "other": lambda g, other, out: g * (other / out)},
    samples=lambda make: (s for s in binary(0.5, 2)(make) if isinstance(s.args[1], Tensor)),
    errors=_hypot_errors,
)
def hypot(self: Tensor, other: Tensor) -> Any:
    """sqrt(a^2 + b^2), without overflow on the way."""
    if computation_type(self, other).is_complex:
        raise RuntimeError("hypot is not supported for complex tensors")
    a, b = abs(to_floating(self)), abs(to_floating(other))
    large, small = maximum(a, b), minimum(a, b)
    ratio = where(large == 0, 0.0, small / large)
    size = large * sqrt(1 + ratio * ratio)
    return where(large == float("inf"), large, size)
