"""Shifts of bits, and divisors of integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import broadcast_shapes
from flambeau.ops.compare import where
from flambeau.ops.pointwise import abs, as_tensors, mul, pow, remainder
from flambeau.ops.rounding import floor_divide
from flambeau.promotion import computation_type
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, binary, broadcast_errors, error, sample
from flambeau.tensor import Tensor


def _shift_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 2)
    yield sample(make(3, 4), make(3, 4).abs())
    yield sample(make(3, 4), make(4).abs() + 100)
    yield sample(make(0, 4), 1)


def _shift_errors(make: Make) -> Iterator[ErrorSample]:
    yield from broadcast_errors(make)
    yield error(RuntimeError, "not implemented for", make(3, dtype=dtypes.float32), 1)


def _integers(name: str, self: Any, other: Any) -> tuple[Tensor, Tensor]:
    compute = computation_type(self, other)
    if compute.category != 1:
        raise NotImplementedError(f"{name} is not implemented for {compute.name}")
    return as_tensors(self, other, compute)


@composite(
    "bitwise_left_shift(Operand self, Operand other) -> Tensor",
    formula="self << other", template="binary",
    dtypes="integral", inplace=True,
    aliases=("__lshift__",), samples=_shift_samples, errors=_shift_errors,
)
def bitwise_left_shift(self: Any, other: Any) -> Any:
    """Bits moved to the left by ``other`` places, zeros behind."""
    a, n = _integers("bitwise_left_shift", self, other)
    return where((n < 0) | (n >= 8 * a.itemsize), 0, mul(a, pow(2, n)))


@composite(
    "bitwise_right_shift(Operand self, Operand other) -> Tensor",
    formula="self >> other", template="binary",
    dtypes="integral", inplace=True,
    aliases=("__rshift__",), samples=_shift_samples, errors=_shift_errors,
)
def bitwise_right_shift(self: Any, other: Any) -> Any:
    """Bits moved to the right by ``other`` places; copies of the sign behind."""
    a, n = _integers("bitwise_right_shift", self, other)
    places = 8 * a.itemsize - a.dtype.is_signed
    all_out = (n < 0) | (n >= places)
    return where(all_out, -(a < 0).to(a.dtype), floor_divide(a, pow(2, where(all_out, 0, n))))


@composite(
    "rlshift(Tensor self, Operand other) -> Tensor", namespaces=("_internal",), dtypes="integral",
    aliases=("__rlshift__",), samples=lambda make: iter([sample(make(3).abs(), 1)]),
)
def rlshift(self: Tensor, other: Any) -> Any:
    """``other << self``."""
    return bitwise_left_shift(other, self)


@composite(
    "rrshift(Tensor self, Operand other) -> Tensor", namespaces=("_internal",), dtypes="integral",
    aliases=("__rrshift__",), samples=lambda make: iter([sample(make(3).abs(), 64)]),
)
def rrshift(self: Tensor, other: Any) -> Any:
    """``other >> self``."""
    return bitwise_right_shift(other, self)


def _tensors_only(make: Make) -> Iterator[Sample]:
    return (s for s in binary()(make) if isinstance(s.args[1], Tensor))


@composite(
    "gcd(Tensor self, Tensor other) -> Tensor", template="binary", dtypes="integral", inplace=True,
    samples=_tensors_only, errors=broadcast_errors,
)
def gcd(self: Tensor, other: Tensor) -> Any:
    """The greatest common divisor, by Euclid's algorithm."""
    shape = broadcast_shapes(self.shape, other.shape)
    a, b = (abs(t).expand(shape) for t in _integers("gcd", self, other))
    while bool((b != 0).any()):
        a, b = where(b == 0, a, b), where(b == 0, b, remainder(a, where(b == 0, 1, b)))
    return a.clone()


@composite(
    "lcm(Tensor self, Tensor other) -> Tensor", template="binary", dtypes="integral", inplace=True,
    samples=_tensors_only, errors=broadcast_errors,
)
def lcm(self: Tensor, other: Tensor) -> Any:
    """The least common multiple; 0 where an element is 0."""
    a, b = _integers("lcm", self, other)
    divisor = gcd(a, b)
    return abs(floor_divide(a, where(divisor == 0, 1, divisor)) * b)
