"""Logarithms and exponentials of other bases."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, register

kernels = NativeTable()

register(kernels, 1, dict.fromkeys(("exp2", "log2", "log10", "logit"), HEAVY), "fV")
register(kernels, 2, dict.fromkeys(("logaddexp", "logaddexp2", "xlogy"), HEAVY), "fV")
