"""exp, exp2, expm1 and what is made of exponentials: x = n ln 2 + r, exp(x) = 2**n exp(r)."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.formats import (
    Format,
    Text,
    horner,
    nearest_integer,
    power_of_two,
)

LOG2_E: Final = "1.4426950408889634"
# ln 2 in two parts.  The first has 16 or 32 bits, so that its products with n are exact.
LN2_PARTS: Final = {
    "f32": ("0.693145751953125", "1.4286068e-06"),
    "f64": ("0.6931471803691238", "1.9082149292705877e-10"),
}
# (exp(r) - 1 - r) / r**2 for |r| <= ln(2) / 2; relative error of exp: 2**-28.2, 2**-57.7.
EXP: Final = {
    "f32": (0.49999994, 0.16666517, 0.041668106, 0.008369131, 0.0013836442),
    "f64": (
        0.5000000000000011, 0.1666666666666625, 0.04166666666652348, 0.008333333333607657,
        0.001388888894588179, 0.00019841269245714511, 2.4801490370099454e-05,
        2.7557831409591303e-06, 2.7631335515828326e-07, 2.4919188235275402e-08,
    ),
}  # fmt: skip
# (exp(r) - 1 - r) / r**2 for |r| <= 1/2; relative error of expm1: 2**-27.6, 2**-60.5.
EXPM1: Final = {
    "f32": (0.50000006, 0.16666669, 0.041665092, 0.008333276, 0.0014003998, 0.00019878948),
    "f64": (
        0.5, 0.16666666666666669, 0.041666666666667164, 0.008333333333332126,
        0.0013888888888659095, 0.0001984126984363991, 2.4801587669953453e-05,
        2.7557317291192503e-06, 2.75570517211572e-07, 2.5052770867902376e-08,
        2.096695216253217e-09, 1.5999568739276894e-10,
    ),
}  # fmt: skip
# (2**r - 1) / r for |r| <= 1/2; relative error of exp2: 2**-31.4, 2**-59.4.
EXP2: Final = {
    "f32": (
        0.6931472, 0.2402265, 0.055504035, 0.009618085, 0.0013339878, 0.0001545389,
        1.3790493e-05,
    ),
    "f64": (
        0.6931471805599453, 0.2402265069591007, 0.05550410866482338, 0.009618129107630232,
        0.0013333558146032575, 0.00015403530388882904, 1.5252734167897104e-05,
        1.3215491336736013e-06, 1.0177931846502607e-07, 7.052947283258114e-09,
        4.4733825633654004e-10, 2.8731587371738162e-11,
    ),
}  # fmt: skip


def clamped(x: str, low: float, high: float) -> str:
    """The value within bounds; nan stays nan."""
    return f"({x} > {high!r} ? {high!r} : {x} < {low!r} ? {low!r} : {x})"


def reduced(fmt: Format, x: str) -> str:
    """Bind ``n``, ``n_f`` and ``r``: x = n ln 2 + r."""
    high, low = LN2_PARTS[fmt.name]
    return (
        nearest_integer(fmt, LOG2_E, x, "n")
        + f"r_h = fma(n_f, -{high}, {x}); r = fma(n_f, -{low}, r_h);"
    )


def scaled(fmt: Format, value: str, n: str) -> str:
    """``value * 2**n``, rounded once: in two steps, for the ends of the range."""
    return (
        f"half_n = {n} >> 1; {value} * {power_of_two(fmt, 'half_n')}"
        f" * {power_of_two(fmt, f'{n} - half_n')}"
    )


def exp_of_rest(fmt: Format) -> str:
    """Bind ``p`` = exp(r)."""
    return f"p = fma(r * r, {horner('r', EXP[fmt.name])}, r) + 1.0;"


def exp(fmt: Format) -> str:
    """Below the lower bound the result rounds to 0, above the upper one it is infinite."""
    low, high = (-104.0, 89.0) if fmt.is_single else (-746.0, 710.0)
    start = f"y = {clamped('x', low, high)};"
    return start + reduced(fmt, "y") + exp_of_rest(fmt) + scaled(fmt, "p", "n")


def half_exp(fmt: Format) -> str:
    """exp(x) / 2 for x >= 0, which does not overflow before sinh and cosh do."""
    high = 90.0 if fmt.is_single else 711.0
    start = f"y = x > {high} ? {high} : x;"
    return start + reduced(fmt, "y") + exp_of_rest(fmt) + scaled(fmt, "p", "(n - 1)")


def exp2(fmt: Format) -> str:
    """x - n is exact."""
    low, high = (-151.0, 129.0) if fmt.is_single else (-1076.0, 1025.0)
    return (
        f"y = {clamped('x', low, high)};"
        + nearest_integer(fmt, "1.0", "y", "n")
        + f"r = y - n_f; p = fma({horner('r', EXP2[fmt.name])}, r, 1.0);"
        + scaled(fmt, "p", "n")
    )


def expm1(fmt: Format) -> str:
    """2**n (exp(r) - 1) + (2**n - 1); n is 0 up to |x| = 1/2, where the second part would cancel.

    2**(n - 1) is what is computed with, since 2**n may overflow before the result does.
    """
    low, high = (-18.0, 89.0) if fmt.is_single else (-38.0, 710.0)
    tiny = 2.0**-24 if fmt.is_single else 2.0**-53
    high_part, low_part = LN2_PARTS[fmt.name]
    return (
        f"y = {clamped('x', low, high)};"
        + nearest_integer(fmt, LOG2_E, "y", "m")
        + "is_near = abs(y) <= 0.5; n = is_near ? 0 : m; n_f = is_near ? 0.0 : m_f;"
        f"r_h = fma(n_f, -{high_part}, y); r = fma(n_f, -{low_part}, r_h);"
        f"p = fma(r * r, {horner('r', EXPM1[fmt.name])}, r);"
        f"s = {power_of_two(fmt, 'n - 1')};"
        f"abs(x) < {tiny!r} ? x : fma(s, p, s - 0.5) * 2.0"
    )


TEXTS: Final[dict[str, Text]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "half_exp": half_exp,
}
