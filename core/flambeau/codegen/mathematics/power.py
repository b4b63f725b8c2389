"""pow: 2 to the power b * log2(a), with the logarithm and its product in two parts each."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.exponential import EXP2, clamped, scaled
from flambeau.codegen.mathematics.formats import Format, Text, horner, nearest_integer
from flambeau.codegen.mathematics.logarithm import mantissa

# log2(1 + f) = s (C0 + z (C1 + z P(z))), z = s**2, s = f / (2 + f): C0 = 2 / ln 2 and
# C1 = 2 / (3 ln 2) in two parts, and P, which leaves a relative error of 2**-36.7 or 2**-73.3.
C0: Final = {
    "f32": ("2.88539", "3.851926e-08"),
    "f64": ("2.8853900817779268", "4.0710547481862066e-17"),
}
C1: Final = {
    "f32": ("0.9617967", "-7.028462e-09"),
    "f64": ("0.9617966939259756", "5.0577616648125907e-17"),
}
LOG2: Final = {
    "f32": (0.5770802, 0.4118498, 0.33782586),
    "f64": (
        0.5770780163555851, 0.412198583111346, 0.3205988979126658, 0.2623081986774227,
        0.22195226874393867, 0.19240139378181167, 0.16844989433316465, 0.17283203676249254,
    ),
}  # fmt: skip


def _logarithm(fmt: Format) -> str:
    """Bind ``g`` and ``g_l``, whose sum is the logarithm to base 2 of ``base``."""
    (c0, c0_low), (c1, c1_low) = C0[fmt.name], C1[fmt.name]
    return (
        mantissa(fmt, "base")
        + "d = 2.0 + f; d_l = f - (d - 2.0); inverse = 1.0 / d; s = f * inverse;"
        "s_l = (fma(-s, d, f) - s * d_l) * inverse;"
        "z = s * s; z_l = fma(s, s, -z) + 2.0 * s * s_l;"
        f"t = z * {horner('z', LOG2[fmt.name])};"
        f"u = {c1} + t; u_l = ({c1} - u) + t + {c1_low};"
        "v = z * u; v_l = fma(z, u, -v) + (z * u_l + z_l * u);"
        f"w = {c0} + v; w_l = ({c0} - w) + v + ({c0_low} + v_l);"
        "l = s * w; l_l = fma(s, w, -l) + (s * w_l + s_l * w);"
        "g = k_f + l; g_l = (k_f - g) + l + l_l;"
    )


def _exponential(fmt: Format) -> str:
    """Bind ``value`` = 2**(b * (g + g_l))."""
    low, high = (-151.0, 129.0) if fmt.is_single else (-1076.0, 1025.0)
    return (
        "e = b * g; e_l = fma(b, g, -e) + b * g_l;"
        f"e_c = {clamped('e', low, high)};"
        + nearest_integer(fmt, "1.0", "e_c", "n")
        + "r = (e_c - n_f) + (e_c == e ? e_l : 0.0);"
        f"p = fma({horner('r', EXP2[fmt.name])}, r, 1.0);"
    )


_SPECIAL: Final = (
    "whole = floor(b) == b; half_b = 0.5 * b; odd = whole && floor(half_b) != half_b;"
    "of_end = (base == 0.0) == (b < 0.0) ? inf : 0.0;"
    "to_infinity = base == 1.0 ? 1.0 : (base > 1.0) == (b > 0.0) ? inf : 0.0;"
    "magnitude = base == 0.0 || base == inf ? of_end : abs(b) == inf ? to_infinity : value;"
    "signed = odd && as_bits(a) < 0 ? -magnitude : magnitude;"
    "undefined = a != a || b != b || a < 0.0 && base < inf && !whole;"
    "b == 0.0 || a == 1.0 ? 1.0 : undefined ? nan : signed"
)


def power(fmt: Format) -> str:
    """a to the power b; the special cases are those of C's Annex F (F.10.4.4)."""
    scale, _, result = scaled(fmt, "p", "n").partition(";")
    return (
        "base = abs(a);"
        + _logarithm(fmt)
        + _exponential(fmt)
        + f"{scale}; value = {result};"
        + _SPECIAL
    )


def rsqrt(fmt: Format) -> str:
    """Rounded twice."""
    return "1.0 / sqrt(x)"


TEXTS: Final[dict[str, Text]] = {"pow": power, "rsqrt": rsqrt}
