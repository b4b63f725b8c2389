"""Rounding, and division with rounding: integers are left to NumPy, which looks for zeros."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, LIGHT, register

kernels = NativeTable()

register(kernels, 1, dict.fromkeys(("ceil", "trunc", "frac", "round"), LIGHT), "fV")
register(kernels, 2, {"floor_divide": HEAVY, "trunc_divide": LIGHT, "fmod": HEAVY}, "fV")
