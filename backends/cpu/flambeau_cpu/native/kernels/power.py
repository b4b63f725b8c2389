"""Powers, roots and reciprocals."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, LIGHT, MEDIUM, register

kernels = NativeTable()

register(kernels, 1, {"reciprocal": LIGHT, "rsqrt": MEDIUM, "square": LIGHT}, "fV")
register(kernels, 2, {"hypot": HEAVY}, "fV")
