"""Elementwise arithmetic."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import binary, override, register, scaling, swapped
from flambeau_cpu.erf import erf

kernels = KernelTable()

_POWERS: Final = {2: np.square, 0.5: np.sqrt, 1: np.positive, -1: np.reciprocal}


def _pow(a: Any, b: Any, out: Any = None) -> Any:
    """Powers; the common exponents by cheaper functions, integers to negative powers give 0."""
    if b.__class__ is int or b.__class__ is float:
        short = _POWERS.get(b)
        if short is not None and (b in (1, 2) or a.dtype.kind not in "iu"):
            return short(a, out)
    elif b.dtype.kind == "i" and (b < 0).any():
        power = np.power(a, np.maximum(b, 0))
        inverse = np.where(a == 1, 1, np.where(a == -1, 1 - 2 * (b & 1), 0))
        return np.where(b < 0, inverse, power).astype(b.dtype)
    return np.power(a, b, out)


def _pow_out(out: Any, a: Any, b: Any) -> None:
    result = _pow(a, b, out)
    if result is not out:
        out[...] = result


def _sign(x: Any, out: Any = None) -> Any:
    """PyTorch's sign: 0 for NaN."""
    if x.dtype.kind in "biu":
        return np.logical_or(x, False, out) if x.dtype.kind == "b" else np.sign(x, out)
    return np.subtract(x > 0, x < 0, out, dtype=x.dtype)


def _round(x: Any, out: Any = None) -> Any:
    return np.positive(x, out) if x.dtype.kind in "iu" else np.rint(x, out)


def _remainder(a: Any, b: Any, out: Any = None) -> Any:
    check_divisor(a, b)
    return np.remainder(a, b, out)


def check_divisor(a: Any, b: Any) -> None:
    """Refuse integer division by zero, for which NumPy gives 0.

    Raises:
        RuntimeError: "ZeroDivisionError", as PyTorch calls it.
    """
    if (a if hasattr(a, "dtype") else b).dtype.kind in "iu" and not np.all(b):
        raise RuntimeError("ZeroDivisionError")


register(kernels, {
    "neg": np.negative, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin,
    "cos": np.cos, "tanh": np.tanh, "log1p": np.log1p, "expm1": np.expm1, "floor": np.floor,
    "round_half_even": _round, "add": np.add, "sub": np.subtract,
    "maximum": np.maximum, "minimum": np.minimum,
    "atan2": np.arctan2, "sign": _sign, "abs": np.absolute, "erf": erf,
})
kernels.register("mul", fresh=np.multiply)(scaling(np.multiply))
kernels.register("true_divide", fresh=np.true_divide)(scaling(np.true_divide))
kernels.register("pow", fresh=_pow)(_pow_out)
register(kernels, {"remainder": _remainder})


def _rsub(x: Any, other: Any, alpha: Any = 1) -> Any:
    return _reverse_subtract(x, other) if alpha == 1 else NotImplemented


_reverse_subtract = binary(swapped(np.subtract), "iufcV")
override(kernels, {"rsub": _rsub, "rdiv": binary(swapped(np.true_divide), "fcV")})
