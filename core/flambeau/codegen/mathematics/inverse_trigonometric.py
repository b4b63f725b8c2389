"""atan and atan2, asin and acos."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.formats import Format, Text, horner, with_sign_of

# (atan(t) - t) / t**3 of z = t**2, |t| <= tan(pi / 8); relative error of atan: 2**-30.4, 2**-59.4.
ATAN: Final = {
    "f32": (-0.33333316, 0.19998525, -0.14244297, 0.10598266, -0.06087342),
    "f64": (
        -0.3333333333333319, 0.19999999999952184, -0.14285714280054215, 0.11111110776310446,
        -0.09090897551361275, 0.07692056530783074, -0.06663062012831562, 0.05847582189469929,
        -0.05037914930254553, 0.038029094325934626, -0.01786819555140163,
    ),
}  # fmt: skip
# (asin(s) - s) / s**3 of z = s**2, s up to 1/2; relative error of asin: 2**-31.6, 2**-59.8.
ASIN: Final = {
    "f32": (0.1666666, 0.07500522, 0.044513676, 0.03183381, 0.014344459, 0.037643105),
    "f64": (
        0.16666666666666763, 0.07499999999970093, 0.0446428571753233, 0.03038194267197498,
        0.02237221604081772, 0.017351592347049354, 0.013981064807544314, 0.01139684733146989,
        0.010792183705978349, 0.0036600383758571605, 0.02182335197394417, -0.02116733499482444,
        0.03273645234458295,
    ),
}  # fmt: skip
QUARTER_PI: Final = {
    "f32": ("0.7853982", "-2.1855694e-08"),
    "f64": ("0.7853981633974483", "3.061616997868383e-17"),
}
TAN_EIGHTH_PI: Final = "0.41421356237309503"


def _angle(fmt: Format) -> str:
    """Bind ``t``, ``tail`` and ``is_middle``.

    atan(low / high) is atan(t), or pi / 4 + atan(t) in the middle; atan(t) is t + tail.  ``low``
    and ``high`` are not negative, ``low <= high``, and ``high`` is not zero.
    """
    return (
        f"is_middle = low > {TAN_EIGHTH_PI} * high;"
        "over = is_middle ? low - high : low; over_l = is_middle ? low - (over + high) : 0.0;"
        "under = is_middle ? low + high : high; under_l = is_middle ? low - (under - high) : 0.0;"
        "t = over / under; t_l = ((fma(-t, under, over) - t * under_l) + over_l) / under;"
        f"z = t * t; tail = fma(t * z, {horner('z', ATAN[fmt.name])}, t_l);"
    )


def _sum(fmt: Format, count: str, is_negative: str) -> str:
    """Bind ``value`` = ``count`` pi / 4 + or - (t + tail), with pi / 4 in two parts."""
    first, second = QUARTER_PI[fmt.name]
    return (
        f"turn = {count} * {first}; turn_l = fma({count}, {first}, -turn) + {count} * {second};"
        f"signed = {is_negative} ? -t : t; total = turn + signed;"
        f"rest = {is_negative} ? -tail : tail;"
        "value = total + (((turn - total) + signed) + (turn_l + rest));"
    )


def atan(fmt: Format) -> str:
    """Of |x| or, above 1, of its inverse."""
    return (
        "y = abs(x); steep = y > 1.0; low = steep ? 1.0 : y;"
        "high = steep ? (y < 1e30 ? y : 1e30) : 1.0;"
        + _angle(fmt)
        + "count = is_middle ? 1.0 : steep ? 2.0 : 0.0;"
        + _sum(fmt, "count", "steep")
        + with_sign_of(fmt, "value", "x")
    )


def atan2(fmt: Format) -> str:
    """The angle of the smaller side at the larger, then which octant it is in.

    Large sides are scaled, because they are added; two infinite ones count as equal.
    """
    large, scale = 2.0 ** (fmt.bias - 1), 0.25
    return (
        "y = abs(a); x = abs(b); steep = y > x;"
        "short = steep ? x : y; long = steep ? y : x;"
        f"scale = long > {large!r} ? {scale} : 1.0;"
        "low = long < inf ? short * scale : short == inf ? 1.0 : 0.0;"
        "high = long < inf && long > 0.0 ? long * scale : 1.0;"
        + _angle(fmt)
        + "octant = is_middle ? 1.0 : steep ? 2.0 : 0.0;"
        "behind = as_bits(b) < 0; count = behind ? 4.0 - octant : octant;"
        "turned = steep != behind;"
        + _sum(fmt, "count", "turned")
        + f"a != a || b != b ? nan : {with_sign_of(fmt, 'value', 'a')}"
    )


def _arc(fmt: Format) -> str:
    """Bind ``m`` and ``tail``: m + tail is asin(x), and beyond 1/2 it is acos(|x|).

    acos(y) = 2 asin(sqrt((1 - y) / 2)), with the rounding error of the root put back.
    """
    return (
        "y = abs(x); is_near = y < 0.5; z = is_near ? x * x : 0.5 - 0.5 * y;"
        "root = sqrt(z); lost = root > 0.0 ? fma(-root, root, z) / root : 0.0;"
        "m = is_near ? x : root + root; base_l = is_near ? 0.0 : lost;"
        f"tail = fma(m * z, {horner('z', ASIN[fmt.name])}, base_l);"
    )


def _minus_arc(constant: str, low: str) -> str:
    """A constant in two parts minus m + tail, rounded about once."""
    return f"h = {constant} - m; value = h + ((({constant} - h) - m) + ({low} - tail));"


def asin(fmt: Format) -> str:
    """pi / 2 - acos(|x|) beyond 1/2."""
    quarter, quarter_l = QUARTER_PI[fmt.name]
    return (
        _arc(fmt)
        + f"half = 2.0 * {quarter}; half_l = 2.0 * {quarter_l};"
        + _minus_arc("half", "half_l")
        + f"whole = is_near ? m + tail : value; {with_sign_of(fmt, 'whole', 'x')}"
    )


def acos(fmt: Format) -> str:
    """pi / 2 - asin(x) up to 1/2, pi - acos(|x|) below."""
    quarter, quarter_l = QUARTER_PI[fmt.name]
    return (
        _arc(fmt)
        + "count = is_near ? 2.0 : 4.0;"
        + f"full = count * {quarter}; full_l = count * {quarter_l};"
        + _minus_arc("full", "full_l")
        + "x < 0.5 ? value : m + tail"
    )


TEXTS: Final[dict[str, Text]] = {"acos": acos, "asin": asin, "atan": atan, "atan2": atan2}
