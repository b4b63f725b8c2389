"""sinh, cosh, tanh and their inverses."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.exponential import exp_of_rest, reduced
from flambeau.codegen.mathematics.formats import (
    Format,
    Text,
    horner,
    power_of_two,
    with_sign_of,
)

# (tanh(x) - x) / x**3 of z = x**2, |x| <= 0.55; relative error of tanh: 2**-29.7.
TANH_F32: Final = (-0.33333316, 0.13332544, -0.053847548, 0.021050714, -0.006242849)

# (sinh(x) - x) / x**3 of z = x**2, |x| <= 1; relative error of sinh: 2**-31.6, 2**-61.7.
SINH: Final = {
    "f32": (0.16666667, 0.0083333105, 0.00019842896, 2.7822118e-06),
    "f64": (
        0.16666666666666669, 0.008333333333332912, 0.00019841269841593427, 2.755731910674623e-06,
        2.5052131001258956e-08, 1.6056658907890327e-10, 7.776609715095655e-13,
    ),
}  # fmt: skip
# (asinh(x) - x) / x**3 of z = x**2, |x| <= 1/2; relative error of asinh: 2**-29.5, 2**-60.3.
ASINH: Final = {
    "f32": (-0.16666643, 0.074986406, -0.04438293, 0.028160656, -0.013222117),
    "f64": (
        -0.1666666666666661, 0.07499999999984369, -0.044642857127768824, 0.030381943713148247,
        -0.022372138268482313, 0.017352385456931834, -0.01396021626238225, 0.011512872232097347,
        -0.009533632316451586, 0.007464137129510586, -0.004745120845636387, 0.0017163830282461911,
    ),
}  # fmt: skip
_FAR: Final = 1e18
"""Where x**2 + 1 is x**2, in both precisions, and x**2 is still finite."""
_LN2: Final = "0.6931471805599453"


def tanh(fmt: Format) -> str:
    """From exp(2 |x|); near 0, f32 by a polynomial, f64 from expm1(2 |x|)."""
    return _tanh_f32(fmt) if fmt.is_single else _tanh_f64(fmt)


def _tanh_f32(fmt: Format) -> str:
    return (
        "y = abs(x); u = y > 10.0 ? 20.0 : y + y;"
        + reduced(fmt, "u")
        + exp_of_rest(fmt)
        + f"far = 1.0 - 2.0 / fma(p, {power_of_two(fmt, 'n')}, 1.0); z = y * y;"
        f"value = y < 0.55 ? fma(y * z, {horner('z', TANH_F32)}, y) : far;"
        + with_sign_of(fmt, "value", "x")
    )


def _tanh_f64(fmt: Format) -> str:
    """e / (e + 2) with e = expm1(2 |x|); what e + 2 and the quotient round away is put back."""
    return (
        "y = abs(x); e = expm1(y > 22.0 ? 44.0 : y + y);"
        "d = e + 2.0; d_l = e - (d - 2.0); inverse = 1.0 / d; t = e * inverse;"
        "value = fma(fma(-t, d, e) - t * d_l, inverse, t);" + with_sign_of(fmt, "value", "x")
    )


def sinh(fmt: Format) -> str:
    """(exp(y) - 1 / exp(y)) / 2 above 1."""
    return (
        "y = abs(x); h = half_exp(y); z = y * y;"
        f"value = y < 1.0 ? fma(y * z, {horner('z', SINH[fmt.name])}, y) : h - 0.25 / h;"
        + with_sign_of(fmt, "value", "x")
    )


def cosh(fmt: Format) -> str:
    """(exp(y) + 1 / exp(y)) / 2."""
    return "h = half_exp(abs(x)); h + 0.25 / h"


def asinh(fmt: Format) -> str:
    """log(y + sqrt(y**2 + 1)), with what the sum rounds away, and log(2 y) far out."""
    return (
        "y = abs(x); z = y * y;"
        "w = fma(y, y, 1.0); w_l = fma(y, y, 1.0 - w); root = sqrt(w);"
        "root_l = 0.5 * (fma(-root, root, w) + w_l) / root;"
        "total = y + root; total_l = ((root - total) + y) + root_l;"
        f"is_far = y > {_FAR}; middle = log(is_far ? y : total)"
        f" + (is_far ? {_LN2} : total_l / total);"
        f"value = y < 0.5 ? fma(y * z, {horner('z', ASINH[fmt.name])}, y) : middle;"
        + with_sign_of(fmt, "value", "x")
    )


def acosh(fmt: Format) -> str:
    """log1p(t + sqrt(2 t + t**2)), t = x - 1, with what the sum rounds away; log(2 x) far out."""
    return (
        "t = x - 1.0; w = fma(t, t, t + t); w_l = fma(t, t, (t + t) - w); root = sqrt(w);"
        "root_l = root > 0.0 ? 0.5 * (fma(-root, root, w) + w_l) / root : 0.0;"
        "total = t + root; total_l = ((root - total) + t) + root_l;"
        f"is_far = x > {_FAR};"
        f"value = log1p(is_far ? x : total) + (is_far ? {_LN2} : total_l / (1.0 + total));"
        "x >= 1.0 ? value : nan"
    )


def atanh(fmt: Format) -> str:
    """log1p(2 y / (1 - y)) / 2, with what the quotient rounds away."""
    return (
        "y = abs(x); over = y + y; under = 1.0 - y; under_l = (1.0 - under) - y;"
        "ratio = over / under; ratio_l = (fma(-ratio, under, over) - ratio * under_l) / under;"
        "value = 0.5 * (log1p(ratio) + ratio_l / (1.0 + ratio));"
        "end = y == 1.0 ? inf : nan; whole = y < 1.0 ? value : end;"
        + with_sign_of(fmt, "whole", "x")
    )


TEXTS: Final[dict[str, Text]] = {
    "acosh": acosh,
    "asinh": asinh,
    "atanh": atanh,
    "cosh": cosh,
    "sinh": sinh,
    "tanh": tanh,
}
