"""Special functions."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, register

kernels = NativeTable()

register(kernels, 1, {"erfc": HEAVY, "erfinv": HEAVY}, "fV")
