"""Rounding, and division with rounding: integers are left to NumPy, which looks for zeros."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, MEDIUM, register

kernels = NativeTable()

register(kernels, 1, dict.fromkeys(("ceil", "trunc", "frac", "round"), MEDIUM), "fV")
register(kernels, 2, {"floor_divide": HEAVY, "trunc_divide": MEDIUM, "fmod": HEAVY}, "fV")
