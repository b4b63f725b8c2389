"""The error function on whole arrays, which NumPy lacks.

Half and single precision: one rational function of x^2, evaluated in double (0.6 ulp of single).
Double: near 0 ``x + x R(x^2)``; from 1 on ``1 - exp(-x^2) S(x)`` (1 ulp).  The coefficients are
derived in ``tests/unit/backends/cpu/derive_erf.py``.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from flambeau_cpu.blocks import in_blocks

_Rational = tuple[tuple[float, ...], tuple[float, ...]]

SINGLE: Final[_Rational] = (
    (1.1283791697235284, 0.1843793166760482, 0.05447829217018717, 0.0038533981786272997,
     0.00039101621277174965, 4.997717521870256e-06, -1.4723661462135185e-08),
    (1.0, 0.4967353159868242, 0.11385796801325639, 0.015505414177319527, 0.001324089086419355,
     6.611726065862879e-05),
)
"""erf(x) / x of x^2, for x to 3.95, where erf rounds to 1."""
NEAR: Final[_Rational] = (
    (0.1283791670955126, -0.3214935962573561, -0.03703439217052074, -0.00765377778663476,
     -0.00027264475050995746, -1.6504876337070527e-05, 1.0534683259983577e-07),
    (1.0, 0.42555808711420673, 0.07938451370313326, 0.008193816626464867, 0.00047376321295764434,
     1.2474306149864762e-05),
)
"""erf(x) / x - 1 of x^2, for x to 1."""
FAR: Final[_Rational] = (
    (0.9999999756753725, 1.8570301625561771, 1.7008973551738693, 0.9655104192185203,
     0.3635867714027941, 0.09093837429746385, 0.014142551981801038, 0.0010911245408056556,
     4.3773703156934535e-13),
    (1.0, 2.9854090859127407, 4.069571953721941, 3.3243706241534365, 1.790956110057799,
     0.6569735782223982, 0.162151100387967, 0.02506701870864784, 0.001933967951506263),
)
"""exp(x^2) erfc(x), for x from 1 to 6, where erf rounds to 1."""

_SMALL: Final = 256
_scalar: Final = np.frompyfunc(math.erf, 1, 1)


def erf(x: Any, out: Any = None) -> Any:
    """The error function of an array of any floating dtype."""
    x = np.asarray(x)
    if x.size <= _SMALL:  # one C call per element beats forty calls of NumPy
        values = np.asarray(_scalar(x.astype(np.float64)), np.float64)
        if out is None:
            return values.astype(x.dtype)
        out[...] = values
        return out
    return in_blocks(_double if x.dtype == np.float64 else _single, x, out=out)


def _ratio(s: Any, table: _Rational) -> Any:
    """The quotient of two polynomials of s, by Horner's rule."""
    top, bottom = (np.multiply(s, c[-1]) for c in table)
    for polynomial, coefficients in ((top, table[0]), (bottom, table[1])):
        for c in coefficients[-2:0:-1]:
            np.add(polynomial, c, polynomial)
            np.multiply(polynomial, s, polynomial)
        np.add(polynomial, coefficients[0], polynomial)
    return np.divide(top, bottom, top)


def _single(x: Any, out: Any) -> None:
    x = x.astype(np.float64)
    np.minimum(x, 3.95, out=x)
    np.maximum(x, -3.95, out=x)
    result = _ratio(np.multiply(x, x), SINGLE)
    np.copyto(out, np.multiply(result, x, result), casting="same_kind")


def _double(x: Any, out: Any) -> None:
    size = np.abs(x)
    np.minimum(size, 6.0, out=size)
    near = _ratio(np.minimum(size * size, 1.0), NEAR)
    np.multiply(near, size, near)
    np.add(near, size, near)
    far = _ratio(size, FAR)
    np.multiply(far, np.exp(-size * size), far)
    np.subtract(1.0, far, far)
    np.copyto(near, far, where=size > 1)
    np.copysign(near, x, out)
