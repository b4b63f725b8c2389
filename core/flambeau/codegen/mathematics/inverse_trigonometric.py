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


TEXTS: Final[dict[str, Text]] = {"atan": atan, "atan2": atan2}
