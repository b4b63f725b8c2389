"""Powers, roots and reciprocals."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, LIGHT, register

kernels = NativeTable()

register(kernels, 1, {"reciprocal": LIGHT, "rsqrt": LIGHT, "square": LIGHT}, "fV")
register(kernels, 2, {"hypot": HEAVY}, "fV")
