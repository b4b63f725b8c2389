"""Elementwise arithmetic."""

from __future__ import annotations

from typing import Final

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, LIGHT, MEDIUM, register

kernels = NativeTable()

register(kernels, 1, {
    "neg": LIGHT, "abs": LIGHT, "sign": MEDIUM, "sqrt": LIGHT, "floor": LIGHT,
    "round_half_even": LIGHT, "exp": HEAVY, "log": HEAVY, "sin": HEAVY, "cos": HEAVY,
    "tanh": HEAVY, "erf": HEAVY, "log1p": HEAVY, "expm1": HEAVY,
}, "fV")
register(kernels, 2, {
    "add": LIGHT, "sub": LIGHT, "mul": LIGHT, "maximum": MEDIUM, "minimum": MEDIUM, "rsub": LIGHT})
register(kernels, 2, {
    "true_divide": LIGHT, "rdiv": LIGHT, "remainder": HEAVY, "atan2": HEAVY}, "fV")

_POWERS: Final[dict[float, str]] = {
    2: "self * self", 3: "self * self * self", 0.5: "sqrt(self)", 1: "self", -1: "1 / self",
    -0.5: "1 / sqrt(self)", -2: "1 / (self * self)",
}
register(kernels, 2, {"pow": HEAVY}, "fV", variants={"exponent": _POWERS})
