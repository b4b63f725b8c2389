"""log, log2 and log1p: x = 2**k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2)."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.exponential import LN2_PARTS
from flambeau.codegen.mathematics.formats import Format, Text, floating, horner

# f32: (log(1 + f) - f) / f**2; relative error of log: 2**-27.3.
# f64: (2 atanh(s) - 2 s) / s**3 of z = s**2, s = f / (2 + f); relative error of log: 2**-59.5.
LOG: Final = {
    "f32": (
        -0.5, 0.3333333, -0.25000823, 0.20001262, -0.16623323, 0.14200833, -0.1315961, 0.1276845,
        -0.07645016,
    ),
    "f64": (
        0.6666666666666735, 0.39999999999409164, 0.2857142874376902, 0.22222198416817385,
        0.18183573151384266, 0.15313808319078848, 0.14798524283973816,
    ),
}  # fmt: skip
# (log2(1 + f) - f / ln(2)) / f**2; relative error of log2: 2**-27.5.
LOG2_F32: Final = (
    -0.72134733, 0.4808982, -0.36069852, 0.2885719, -0.23957698, 0.20446543, -0.19123352,
    0.18726774, -0.11106887,
)  # fmt: skip
LOG2_E_PARTS: Final = {
    "f32": ("1.442695", "1.925963e-08"),
    "f64": ("1.4426950408889634", "2.0355273740931033e-17"),
}


def mantissa(fmt: Format, x: str) -> str:
    """Bind ``k``, ``k_f`` and ``f`` for a positive finite ``x``, subnormal ones included."""
    shift = 23 if fmt.is_single else 54
    tiny, scale = 2.0 ** (1 - fmt.bias), 2.0**shift
    return (
        f"is_tiny = {x} < {tiny!r}; x_n = is_tiny ? {x} * {scale!r} : {x}; bits = as_bits(x_n);"
        f"k_b = bits - {fmt.bits(0.5**0.5)} >> {fmt.mantissa};"
        f"f = from_bits(bits - (k_b << {fmt.mantissa})) - 1.0;"
        f"k = k_b - (is_tiny ? {shift} : 0); k_f = {floating(fmt, 'k')};"
    )


def log_of_parts(fmt: Format) -> str:
    """k ln 2 + log(1 + f)."""
    high, low = LN2_PARTS[fmt.name]
    if fmt.is_single:
        return (
            f"p = fma(f * f, {horner('f', LOG['f32'])}, f);"
            f"value = fma(k_f, {high}, fma(k_f, {low}, p));"
        )
    # log(1 + f) = f - (f**2 / 2 - s (f**2 / 2 + rest)) keeps f, the largest part, unrounded.
    return (
        "s = f / (2.0 + f); z = s * s; half_square = 0.5 * f * f;"
        f"rest = z * {horner('z', LOG['f64'])};"
        f"t = fma(s, half_square + rest, k_f * {low});"
        f"value = fma(k_f, {high}, f - (half_square - t));"
    )


def checked(x: str, value: str) -> str:
    """The result at the ends of the domain, and outside."""
    return f"{x} > 0.0 ? ({x} < inf ? {value} : {x}) : {x} == 0.0 ? -inf : nan"


def log(fmt: Format) -> str:
    """The natural logarithm."""
    return mantissa(fmt, "x") + log_of_parts(fmt) + checked("x", "value")


def log2(fmt: Format) -> str:
    """k + log(1 + f) / ln 2, with 1 / ln 2 in two parts."""
    high, low = LOG2_E_PARTS[fmt.name]
    if fmt.is_single:
        body = (
            f"t = fma(f, {low}, f * f * {horner('f', LOG2_F32)});value = k_f + fma(f, {high}, t);"
        )
    else:
        # log(1 + f) in two parts: a = f rounded to half its bits, and c the rest.
        body = (
            "s = f / (2.0 + f); z = s * s; half_square = 0.5 * f * f;"
            f"rest = z * {horner('z', LOG['f64'])};"
            "t = s * (half_square + rest);"
            "h = f - half_square; h_l = (f - h) - half_square + t;"
            "a = h + h_l; c = (h - a) + h_l;"
            f"p = a * {high}; p_l = fma(a, {high}, -p) + fma(c, {high}, a * {low});"
            "w = k_f + p; w_l = (k_f - w) + p;"
            "value = w + (w_l + p_l);"
        )
    return mantissa(fmt, "x") + body + checked("x", "value")


def log1p(fmt: Format) -> str:
    """1 + x = 2**k (1 + f), where f = x / 2**k + (1 / 2**k - 1) hardly rounds."""
    tiny = 2.0**-25 if fmt.is_single else 2.0**-54
    furthest = fmt.mantissa + 8
    start = (
        f"u = 1.0 + x; k = as_bits(u) - {fmt.bits(0.5**0.5)} >> {fmt.mantissa};"
        f"e = k << {fmt.mantissa}; k_c = k > {furthest} ? {furthest} : k;"
        f"inverse = from_bits({fmt.bias} - k_c << {fmt.mantissa});"
        f"f = from_bits(as_bits(x) - e) + (inverse - 1.0); k_f = {floating(fmt, 'k')};"
    )
    end = (
        f"is_same = abs(x) < {tiny!r} || x == inf; inside = is_same ? x : value;"
        "x > -1.0 ? inside : x == -1.0 ? -inf : nan"
    )
    return start + log_of_parts(fmt) + end


TEXTS: Final[dict[str, Text]] = {"log": log, "log2": log2, "log1p": log1p}
