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


TEXTS: Final[dict[str, Text]] = {"tanh": tanh}
