"""Elementwise arithmetic, comparison and selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from flambeau_mlx.arrays import DTYPES
from flambeau_mlx.kernels.table import table

Operand = Any
"""An array, or a Python number."""

table.add(
    neg=mx.negative, exp=mx.exp, log=mx.log, sqrt=mx.sqrt, sin=mx.sin, cos=mx.cos, tanh=mx.tanh,
    log1p=mx.log1p, expm1=mx.expm1, erf=mx.erf, abs=mx.abs, floor=mx.floor, add=mx.add,
    sub=mx.subtract, mul=mx.multiply, true_divide=mx.divide, maximum=mx.maximum,
    minimum=mx.minimum, atan2=mx.arctan2, eq=mx.equal, lt=mx.less, le=mx.less_equal,
    bitwise_and=mx.bitwise_and, bitwise_or=mx.bitwise_or, bitwise_xor=mx.bitwise_xor,
    select_where=mx.where,
)


def is_integer(x: Operand) -> bool:
    """Whether an operand is an integer array."""
    return isinstance(x, mx.array) and mx.issubdtype(x.dtype, mx.integer)


def alike(a: Operand, b: Operand) -> tuple[mx.array, mx.array]:
    """Two integer operands as arrays of one dtype; a number wraps around, as in C."""
    if isinstance(a, mx.array) and isinstance(b, mx.array):
        return a, b
    if isinstance(a, mx.array):
        return a, mx.array(b).astype(a.dtype)
    return mx.array(a).astype(b.dtype), b


def is_signed(x: mx.array) -> bool:
    """Whether integers may be negative."""
    return bool(mx.issubdtype(x.dtype, mx.signedinteger))


@table.function("sign")
def sign(x: mx.array) -> mx.array:
    """-1, 0 or 1; 0 for NaN."""
    return mx.sign(x) if is_integer(x) or x.dtype == mx.bool_ else mx.where(x != x, 0, mx.sign(x))


@table.function("round_half_even")
def round_half_even(x: mx.array) -> mx.array:
    """Nearest integers; integers are their own."""
    return x if is_integer(x) else mx.round(x)


@table.function("pow")
def power(a: Operand, b: Operand) -> mx.array:
    """Powers; an integer to a negative power is 0 unless it is 1 or -1."""
    if not (is_integer(a) or is_integer(b)):
        return mx.power(a, b)
    a, b = alike(a, b)
    if not is_signed(b):
        return mx.power(a, b)
    inverse = mx.where(a == 1, 1, mx.where(a == -1, 1 - 2 * (b & 1), 0)).astype(a.dtype)
    return mx.where(b < 0, inverse, mx.power(a, mx.maximum(b, 0)))


@table.function("remainder")
def remainder(a: Operand, b: Operand) -> mx.array:
    """What is left of a division rounded down; it has the divisor's sign."""
    if not (is_integer(a) or is_integer(b)):
        return mx.remainder(a, b)
    a, b, safe = _divisible(a, b)
    return mx.where(safe, mx.remainder(a, b), 0).astype(a.dtype)


def _divisible(a: Operand, b: Operand) -> tuple[mx.array, mx.array, mx.array]:
    """Integers and divisors that the processor can divide by, and where they are the real ones.

    A program stops at a division by 0, and at that of the least integer by -1.
    """
    a, b = alike(a, b)
    table.runtime.later(_no_zero, mx.all(b != 0))
    safe = (b != 0) & (b != -1) if is_signed(b) else b != 0
    return a, mx.where(safe, b, 1), safe


def _no_zero(all_differ: bool) -> None:
    if not all_differ:
        raise RuntimeError("ZeroDivisionError")


@table.constructor("arange_steps")
def arange_steps(shape: Any, what: Any, start: Any, step: Any) -> mx.array:
    """``start + i * step``, in int64 or, on the CPU, in float64."""
    count = shape[0]
    if what.category == 1:
        return (mx.arange(count, dtype=mx.int64) * step + start).astype(DTYPES[what])
    with mx.stream(mx.cpu):
        steps = mx.arange(count, dtype=mx.float64)
        return (steps * step + start).astype(DTYPES[what])


# ---- composites that are one function of MLX -----------------------------------------------------
def is_floating(x: Operand) -> bool:
    """Whether an operand is an array of floating numbers."""
    return isinstance(x, mx.array) and mx.issubdtype(x.dtype, mx.floating)


def fits(a: Operand, b: Operand) -> bool:
    """Whether MLX promotes two operands as PyTorch does: one dtype, or a number beside floats."""
    if isinstance(a, mx.array) and isinstance(b, mx.array):
        return a.dtype == b.dtype
    array, number = (a, b) if isinstance(a, mx.array) else (b, a)
    return is_floating(array) and number.__class__ in (int, float)


def _comparison(function: Callable[..., mx.array]) -> Callable[..., Any]:
    """A comparison of floating numbers."""

    def kernel(a: Operand, b: Operand) -> Any:
        ours = fits(a, b) and (is_floating(a) or is_floating(b))
        return function(a, b) if ours else NotImplemented

    return kernel


def _floating(function: Callable[[mx.array], mx.array]) -> Callable[[mx.array], Any]:
    """A function of an array of floating numbers."""

    def kernel(x: mx.array) -> Any:
        return function(x) if is_floating(x) else NotImplemented

    return kernel


@table.override("floor_divide")
def floor_divide(a: Operand, b: Operand) -> Any:
    """Integer quotients rounded down; of floating numbers the decomposition is more exact."""
    if not (is_integer(a) and ((is_integer(b) and a.dtype == b.dtype) or b.__class__ is int)):
        return NotImplemented
    a, b, safe = _divisible(a, b)
    return mx.where(safe, mx.floor_divide(a, b), -a).astype(a.dtype)  # by -1


@table.override("where")
def where(condition: mx.array, a: Operand, b: Operand) -> Any:
    """Elements of one or the other, where nothing has to be promoted."""
    if a is None or condition.dtype != mx.bool_ or not fits(a, b):
        return NotImplemented
    return mx.where(condition, a, b)


for _name, _function in {"gt": mx.greater, "ge": mx.greater_equal, "ne": mx.not_equal}.items():
    table.override(_name)(_comparison(_function))
for _name, _function in {
    "sigmoid": mx.sigmoid, "rsqrt": mx.rsqrt, "reciprocal": mx.reciprocal, "square": mx.square,
    "ceil": mx.ceil, "isnan": mx.isnan, "isinf": mx.isinf, "isfinite": mx.isfinite,
    "logical_not": mx.logical_not, "log2": mx.log2, "log10": mx.log10, "sinh": mx.sinh,
    "cosh": mx.cosh, "tan": mx.tan, "relu": lambda x: mx.maximum(x, 0),
}.items():
    table.override(_name)(_floating(_function))
