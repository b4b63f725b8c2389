"""Limiting and choosing values."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import LIGHT, register

kernels = NativeTable()

register(kernels, 1, {"clamp_to_numbers": LIGHT, "signbit": LIGHT, "nan_to_num": LIGHT}, "fV")
register(kernels, 2, {"fmax": LIGHT, "fmin": LIGHT, "copysign": LIGHT, "heaviside": LIGHT}, "fV")
register(kernels, 3, {"clamp_to_tensors": LIGHT})
