"""lgamma, the logarithm of |gamma(x)|."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.formats import Format, Text, horner

# lgamma(2 + t) / t for |t| <= 1/2; relative error 2**-25.9, 2**-55.3 (the coefficients' rounding).
FROM_2: Final = {
    "f32": (
        0.42278433, 0.32246703, -0.067351475, 0.020581368, -0.007401718, 0.0028802082,
        -0.0010898848, 0.0005687543, -0.0004391095,
    ),
    "f64": (
        0.42278433509846713, 0.3224670334241133, -0.06735230105319572, 0.02058080842776581,
        -0.007385551028929798, 0.0028905103318462772, -0.0011927539011677194,
        0.0005096694950804676, -0.00022315497503134035, 9.945794358635841e-05,
        -4.492374632865171e-05, 2.0503555913182658e-05, -9.456209241268852e-06,
        4.39343857548856e-06, -1.9744825615750033e-06, 9.001584890853846e-07,
        -5.809791715975323e-07, 2.9740086919146664e-07,
    ),
}  # fmt: skip
# lgamma(1 + t) / (t (t - 1)) for 0 <= t <= 1/2; relative error 2**-26.3, 2**-55.9.
FROM_1: Final = {
    "f32": (
        0.5772157, -0.24525245, 0.1554622, -0.1153916, 0.092908, -0.07549453, 0.05100627,
        -0.018767888,
    ),
    "f64": (
        0.5772156649015329, -0.2452513685225774, 0.15543426586310854, -0.11514654249562478,
        0.09223900578476599, -0.07731810672781611, 0.0667308041831238, -0.05876842934137987,
        0.05248625718175544, -0.04716431841859649, 0.04188298813128104, -0.03529824212713542,
        0.026273667136921867, -0.015529382726183401, 0.006227128053746523,
        -0.0012329183879531838,
    ),
}  # fmt: skip
# What Stirling's formula lacks, times x, of w = 1 / x**2 for x >= 8; relative error of lgamma:
# 2**-33.5, 2**-62.8.
STIRLING: Final = {
    "f32": (0.08333324, -0.0027598024),
    "f64": (
        0.08333333333333245, -0.002777777776805011, 0.0007936504188350083,
        -0.0005951698735333265, 0.0008353213326420938, -0.0016090456436501116,
    ),
}  # fmt: skip
_HALF_LOG_TAU_LESS_HALF: Final = "0.41893853320467274"
"""(log(2 pi) - 1) / 2."""
_STEPS: Final = 6
"""From below 8.5 down to below 2.5."""


def lgamma(fmt: Format) -> str:
    """Polynomials above 1 and around 2; up to 8.5 steps of one to there; then Stirling's formula.

    Below -1/2 by reflection, DLMF 5.5.3: gamma(x) gamma(-x) = -pi / (x sin(pi x)).
    """
    return (
        "is_left = x < -0.5; y = is_left ? -x : x; is_large = y >= 8.0;"
        + _product()
        + "argument = is_large ? y : abs(product); logarithm = log(argument);"
        + f"from_2 = fma(t, {horner('t', FROM_2[fmt.name])}, y < 1.5 ? -logarithm : logarithm);"
        f"from_1 = fma(t, t, -t) * {horner('t', FROM_1[fmt.name])};"
        "near = y < 1.5 && y >= 1.0 ? from_1 : from_2;"
        "inverse = 1.0 / y; w = inverse * inverse;"
        f"tail = fma(inverse, {horner('w', STIRLING[fmt.name])}, {_HALF_LOG_TAU_LESS_HALF});"
        "far = fma(y - 0.5, logarithm - 1.0, tail); right = is_large ? far : near;"
        + _reflection()
        + "x == 0.0 || abs(x) == inf || is_left && part == 0.0 ? inf : is_left ? left : right"
    )


def _product() -> str:
    """Bind ``t`` and ``product``: gamma(y) is gamma(2 + t) times or, below 1.5, over the product.

    Below 1/2, which includes the negative numbers that are not reflected, gamma(y) = gamma(y + 2)
    / (y (y + 1)).
    """
    text = "steps = y < 8.5 ? floor(y - 1.5) : 0.0; p_0 = y < 0.5 ? y * (y + 1.0) : y;"
    text += "q_0 = 1.0;"
    for i in range(1, _STEPS + 1):
        text += f"q_{i} = steps >= {i}.0 ? q_{i - 1} * (y - {i}.0) : q_{i - 1};"
    return text + (
        f"product = y < 1.5 ? p_0 : q_{_STEPS};"
        "t = y < 0.5 ? y : y < 1.5 ? y - 1.0 : (y - steps) - 2.0;"
    )


def _reflection() -> str:
    """Bind ``left``, and ``part``, which is 0 at the poles."""
    return (
        "part = abs(y - round(y)); from_half = 0.5 - part;"
        "sine = part < 0.25 ? sin(part * pi) : cos(from_half * pi);"
        "left = log(pi / (y * sine)) - right;"
    )


TEXTS: Final[dict[str, Text]] = {"lgamma": lgamma}
