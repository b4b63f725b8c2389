"""Limiting and choosing values."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import MEDIUM, register

kernels = NativeTable()

register(kernels, 1, {"clamp_to_numbers": MEDIUM, "signbit": MEDIUM, "nan_to_num": MEDIUM}, "fV")
register(kernels, 2, dict.fromkeys(("fmax", "fmin", "copysign", "heaviside"), MEDIUM), "fV")
register(kernels, 3, {"clamp_to_tensors": MEDIUM})
