"""Shifts."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import LIGHT, register

kernels = NativeTable()

register(kernels, 2, dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"), LIGHT), "iu")
