"""Dropout's masks applied."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import MEDIUM, register

kernels = NativeTable()

register(kernels, 2, {"masked_scale": MEDIUM}, "bfV")
