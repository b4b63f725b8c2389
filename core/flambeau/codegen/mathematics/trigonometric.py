"""sin, cos and tan: x = q pi / 2 + r with |r| <= pi / 4, then polynomials of r.

Small arguments are reduced by subtracting q times parts of pi / 2; the others, by
:mod:`flambeau.codegen.mathematics.large_angles`, in functions of their own, which a target that
branches calls only where it must.
"""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics import large_angles
from flambeau.codegen.mathematics.formats import (
    Format,
    Text,
    horner,
    nearest_integer,
)

TWO_OVER_PI: Final = "0.6366197723675814"
HALF_PI_PARTS: Final = {
    "f32": (1.57080078125, -4.410743713378906e-06, -4.371139e-08, -1.7151245e-15),
    "f64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
"""The first two of f32 have so few bits that their products with q are exact: a target whose fma
rounds twice loses bits, but does not lose all of them."""
LIMITS: Final = {"f32": large_angles.LIMIT_F32, "f64": large_angles.LIMIT_F64}
# (sin(r) - r) / r**3 of z = r**2, |r| <= 1.01 pi / 4; relative error of sin: 2**-32.4, 2**-63.2.
SIN: Final = {
    "f32": (-0.16666667, 0.0083333785, -0.00019852562, 2.8263405e-06),
    "f64": (
        -0.16666666666666666, 0.008333333333333047, -0.00019841269840973223,
        2.7557319081650226e-06, -2.5052073381159276e-08, 1.6054675170598906e-10,
        -7.409654979750464e-13,
    ),
}  # fmt: skip
# (cos(r) - 1 + z / 2) / z**2; relative error of cos: 2**-32.7, 2**-63.6.
COS: Final = {
    "f32": (0.041666646, -0.0013887298, 2.4430085e-05),
    "f64": (
        0.04166666666666658, -0.001388888888887097, 2.4801587287527944e-05,
        -2.7557313791562924e-07, 2.0875647490734527e-09, -1.135574411500612e-11,
    ),
}  # fmt: skip


def reduced(fmt: Format) -> str:
    """Bind ``q`` and ``r`` for y = |x| below the limit.

    What precedes the last two steps is exact: all are multiples of the last place of the largest
    part, and the difference is below 2.
    """
    parts = HALF_PI_PARTS[fmt.name]
    rests = ["y", *(f"r_{i}" for i in range(len(parts) - 1)), "r"]
    steps = zip(rests, rests[1:], parts, strict=False)
    return nearest_integer(fmt, TWO_OVER_PI, "y", "q") + "".join(
        f"{rest} = fma(q_f, {-part!r}, {before});" for before, rest, part in steps
    )


def reduced_in_two_parts(fmt: Format) -> str:
    """Bind ``r_l`` as well: the error of the last step but one is caught, and added with the last.

    The difference that the step made is rounded, and its rounding error exact.
    """
    parts = HALF_PI_PARTS[fmt.name]
    head, _, _ = reduced(fmt).rpartition("r = ")
    before, rest = (f"r_{i}" if i >= 0 else "y" for i in (len(parts) - 3, len(parts) - 2))
    return head + (
        f"step = {before} - {rest}; step_l = ({before} - step) - {rest};"
        f"lost = fma(q_f, {-parts[-2]!r}, step) + step_l;"
        f"third = fma(q_f, {-parts[-1]!r}, lost); r = {rest} + third; r_l = ({rest} - r) + third;"
    )


def sine_and_cosine(fmt: Format) -> str:
    """Bind ``s`` = sin(r) and ``c`` = cos(r)."""
    return (
        "z = r * r;"
        f"s = fma(r * z, {horner('z', SIN[fmt.name])}, r);"
        f"c = fma(z * z, {horner('z', COS[fmt.name])}, fma(-0.5, z, 1.0));"
    )


def _turned(fmt: Format, quarter: str) -> str:
    """The sine of r + quarter * pi / 2."""
    return (
        f"turned = ({quarter} & 1) == 0 ? s : c;"
        f"value = from_bits(as_bits(turned) ^ ({quarter} & 2) << {fmt.width - 2});"
    )


def _sine(fmt: Format) -> str:
    return sine_and_cosine(fmt) + _turned(fmt, "q")


def _cosine(fmt: Format) -> str:
    return sine_and_cosine(fmt) + "turn = q + 1;" + _turned(fmt, "turn")


def _tangent(fmt: Format) -> str:
    """The quotient of sine and cosine, which is why both are computed with what r lost."""
    return (
        "z = r * r; w = fma(-0.5, z, 1.0);"
        f"s = r + fma(r * z, {horner('z', SIN[fmt.name])}, r_l * w);"
        "w_l = fma(-0.5, z, 1.0 - w) - fma(0.5, fma(r, r, -z), r * r_l);"
        f"c = w + fma(z * z, {horner('z', COS[fmt.name])}, w_l);"
        "even = (q & 1) == 0; value = (even ? s : -c) / (even ? c : s);"
    )


def _odd(fmt: Format) -> str:
    """A function of |x| as that of x."""
    return f"from_bits(as_bits(value) ^ as_bits(x) & {fmt.sign_bit})"


def _small(fmt: Format, name: str, kernel: Text, result: str) -> str:
    reduction = reduced_in_two_parts if kernel is _tangent else reduced
    return (
        "y = abs(x);" + reduction(fmt) + kernel(fmt)
        + f"y < {LIMITS[fmt.name]!r} ? {result} : {name}_large(x)"
    )  # fmt: skip


def _large(fmt: Format, kernel: Text, result: str) -> str:
    return (
        large_angles.reduced(fmt) + kernel(fmt)
        + f"abs(x) < inf ? {result} : nan"
    )  # fmt: skip


TEXTS: Final[dict[str, Text]] = {
    "sin": lambda fmt: _small(fmt, "sin", _sine, _odd(fmt)),
    "cos": lambda fmt: _small(fmt, "cos", _cosine, "value"),
    "tan": lambda fmt: _small(fmt, "tan", _tangent, _odd(fmt)),
    "sin_large": lambda fmt: _large(fmt, _sine, _odd(fmt)),
    "cos_large": lambda fmt: _large(fmt, _cosine, "value"),
    "tan_large": lambda fmt: _large(fmt, _tangent, _odd(fmt)),
}
