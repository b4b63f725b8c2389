"""Sums of products, and interpolation between tensors."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import MEDIUM, register

kernels = NativeTable()

register(kernels, 3, {"addcmul": MEDIUM, "addcdiv": MEDIUM, "lerp": MEDIUM}, "fV")
