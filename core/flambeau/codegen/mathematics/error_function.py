"""erf and erfc."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.exponential import (
    EXPM1,
    exp_of_rest,
    reduced,
    scaled,
)
from flambeau.codegen.mathematics.formats import (
    Format,
    Text,
    horner,
    power_of_two,
    with_sign_of,
)

# erf(x) / x - 1 of z = x**2, |x| <= 1; relative error of erf: 2**-29.4, 2**-55.8.
ERF: Final = {
    "f32": (
        0.12837917, -0.37612626, 0.11283579, -0.026853347, 0.005187162, -0.0007997853,
        7.806904e-05,
    ),
    "f64": (
        0.12837916709551256, -0.37612638903183343, 0.1128379167093694, -0.026866170641955817,
        0.0052239775966923955, -0.0008548325482097845, 0.00012055280384703397,
        -1.4924463001967888e-05, 1.6444111991223166e-06, -1.6183649981241037e-07,
        1.3615029510841756e-08, -7.604343608462863e-10,
    ),
}  # fmt: skip
# log(erfc(x)) for x from 1 to 4; relative error of erf: 2**-29.7.
LOG_ERFC_F32: Final = (
    -0.00034164963, -1.1270887, -0.63814574, -0.10310589, 0.021837581, -0.0029475067,
    0.00018635835,
)  # fmt: skip


# (1 + 2 x) exp(x**2) erfc(x) of t = (x - c) / (x + c), x from 0.45 to where erfc is 0, and what the
# first coefficient lacks; relative error: 2**-26.7 with c = 2, 2**-56.2 with c = 4.
SCALED_ERFC: Final = {
    "f32": (
        1.2769784, -0.09276377, -0.16603099, 0.16404909, -0.054208655, -0.008010238, 0.00864657,
        0.0011670502, -0.0012468597, -0.00025497517,
    ),
    "f64": (
        1.2329951186255526, -0.1396211168405625, 0.015379652102618916, 0.0680970542546921,
        -0.10103906603624706, 0.09373283499837831, -0.06633036581376, 0.037167515536791026,
        -0.016197734036529472, 0.005031969987377671, -0.0007577734597965393,
        -0.00019925677254942242, 0.0001506225377090863, -2.4398799377840742e-05,
        -1.122483136249215e-05, 5.7082836780529645e-06, 2.996945792793469e-07,
        -8.221377106841272e-07, 6.692254065555994e-08, 1.0540916398801716e-07,
        -1.219259853317029e-08, -1.0404524743458572e-08,
    ),
}  # fmt: skip
FIRST_LACKS: Final = {"f32": "1.3027407e-08", "f64": "-4.356268822910263e-17"}
CENTRE: Final = {"f32": "2.0", "f64": "4.0"}
FURTHEST: Final = {"f32": 11.0, "f64": 28.0}
"""Where erfc has become 0."""


def erfc(fmt: Format) -> str:
    """exp(-x**2) times a slow function over 1 + 2 x.

    x is split, so that the larger part of its square is exact; the rounding errors of the quotient
    and of the polynomial's last step are put back.
    """
    centre, furthest = CENTRE[fmt.name], FURTHEST[fmt.name]
    first, *others = SCALED_ERFC[fmt.name]
    scale, _, tail = scaled(fmt, "product", "n").partition(";")
    ones, low = (1 << fmt.width) - 1, (fmt.mantissa + 2) // 2
    return (
        f"y = abs(x) > {furthest} ? {furthest} : abs(x);"
        f"high = from_bits(as_bits(y) & {ones - (1 << low) + 1}); square = high * high;"
        "minus = -square; lost = (y - high) * (y + high);"
        + reduced(fmt, "minus")
        + f"d = r - lost; power = fma(d * d, {horner('d', EXPM1[fmt.name])}, d);"
        f"t = (y - {centre}) / (y + {centre}); v = t * {horner('t', others)};"
        f"over = {first!r} + v; over_l = (({first!r} - over) + v) + {FIRST_LACKS[fmt.name]};"
        "under = fma(2.0, y, 1.0); under_l = fma(2.0, y, 1.0 - under);"
        "slow = over / under;"
        "slow_l = (fma(-slow, under, over) + (over_l - slow * under_l)) / under;"
        f"product = slow + fma(slow, power, slow_l); {scale}; tail = {tail};"
        f"z = x * x; near = 1.0 - fma(x, {horner('z', ERF[fmt.name])}, x);"
        "abs(x) < 0.5 ? near : x < 0.0 ? 2.0 - tail : tail"
    )


def erf(fmt: Format) -> str:
    """A polynomial up to 1, and 1 - erfc(|x|) above."""
    if fmt.is_single:
        far = (
            f"q = y < 4.0 ? {horner('y', LOG_ERFC_F32)} : -20.0;"
            + reduced(fmt, "q")
            + exp_of_rest(fmt)
            + f"far = 1.0 - p * {power_of_two(fmt, 'n')};"
        )
    else:
        far = "far = 1.0 - erfc(y);"
    near = f"fma(x, {horner('z', ERF[fmt.name])}, x)"
    return (
        f"y = abs(x); z = x * x; {far}"
        f"x != x ? x : y < 1.0 ? {near} : {with_sign_of(fmt, 'far', 'x')}"
    )


TEXTS: Final[dict[str, Text]] = {"erf": erf, "erfc": erfc}
