"""The functions and operators of formulas on NumPy arrays.

They compute in the types that the interpreter works in (bool, one integer type, float64,
complex128); narrower floats are its rounding of these results.  Where PyTorch and NumPy differ,
these are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from flambeau.codegen import multiply_add, special

Array: TypeAlias = NDArray[Any]


def _elementwise(function: Callable[..., float], arity: int) -> Callable[..., Array]:
    loop = np.frompyfunc(function, arity, 1)

    def run(*arrays: Array) -> Array:
        return np.asarray(loop(*arrays), dtype=np.float64)

    return run


def _is_integral(array: Array) -> bool:
    return array.dtype.kind in "biu"


def _unless_integral(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: x if _is_integral(x) else function(x)


def sign(x: Array) -> Array:
    """-1, 0 or 1; 0 for nan, as PyTorch."""
    if x.dtype == np.bool_:
        return x
    return np.asarray(np.subtract(x > 0, x < 0, dtype=x.dtype))


def maximum(a: Array, b: Array) -> Array:
    """The greater; nan if either is; the first of equals (which matters for zeros)."""
    return np.where((a < b) | np.isnan(b), b, a)


def minimum(a: Array, b: Array) -> Array:
    """The lesser; nan if either is; the first of equals (which matters for zeros)."""
    return np.where((a > b) | np.isnan(b), b, a)


def remainder(a: Array, b: Array) -> Array:
    """The remainder that has the sign of ``b``; 0 for an integer divisor of 0."""
    if _is_integral(a):
        return np.remainder(a, b)
    rest = np.fmod(a, b)
    # Not np.remainder: it gives a zero the sign of b, PyTorch that of a.
    return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)


def trunc_divide(a: Array, b: Array) -> Array:
    """The quotient rounded towards 0; 0 for an integer divisor of 0."""
    if not _is_integral(a):
        return np.trunc(np.divide(a, b))
    floor = np.floor_divide(a, b)
    is_below = (np.remainder(a, b) != 0) & ((a < 0) != (b < 0))
    return np.asarray(np.add(floor, is_below, dtype=a.dtype))


def power(a: Array, b: Array) -> Array:
    """``a ** b``; for a negative integer exponent the reciprocal rounded towards 0."""
    if not _is_integral(a):
        return np.power(a, b)
    whole = np.power(a, np.maximum(b, 0))
    is_even = b % 2 == 0
    reciprocal = np.where(a == 1, 1, np.where(a == -1, np.where(is_even, 1, -1), 0))
    return np.where(b < 0, reciprocal, whole).astype(a.dtype)


def _integers_or(fma: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, b, c: a * b + c if _is_integral(a) else fma(a, b, c)


UNARY: Final[dict[str, Callable[..., Array]]] = {"-": np.negative, "~": np.invert}

BINARY: Final[dict[str, Callable[..., Array]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "&": np.bitwise_and,
    "|": np.bitwise_or,
    "^": np.bitwise_xor,
    # By a count that is negative or too large, NumPy gives what PyTorch does: 0, or the sign.
    "<<": np.left_shift,
    ">>": np.right_shift,
}

COMPARE: Final[dict[str, Callable[..., Array]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}

FUNCTIONS: Final[dict[str, Callable[..., Array]]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "conj": np.conj,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": _elementwise(special.erf, 1),
    "erfc": _elementwise(special.erfc, 1),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "floor": np.floor,
    "floor_divide": np.floor_divide,
    "fma": _integers_or(multiply_add.fma),
    "fmod": np.fmod,
    "imag": np.imag,
    "isinf": np.isinf,
    "isnan": np.isnan,
    "lgamma": _elementwise(special.lgamma, 1),
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "maximum": maximum,
    "minimum": minimum,
    "pow": power,
    "real": np.real,
    "remainder": remainder,
    "round": _unless_integral(np.rint),
    "rsqrt": lambda x: np.reciprocal(np.sqrt(x)),
    "sign": sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
    "trunc": np.trunc,
    "trunc_divide": trunc_divide,
}

NARROW_FUNCTIONS: Final = FUNCTIONS | {"fma": _integers_or(multiply_add.fma_to_odd)}
"""For results that are rounded again, to less than float64."""
