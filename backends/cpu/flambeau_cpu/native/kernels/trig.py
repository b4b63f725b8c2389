"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, LIGHT, register

kernels = NativeTable()

register(kernels, 1, dict.fromkeys(
    ("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "sinc"),
    HEAVY), "fV")
register(kernels, 1, dict.fromkeys(("deg2rad", "rad2deg"), LIGHT), "fV")
