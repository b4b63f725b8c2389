"""Logarithms and exponentials of other bases."""

from __future__ import annotations

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import binary, override, unary

kernels = KernelTable()
override(kernels, {
    "exp2": unary(np.exp2), "log2": unary(np.log2), "log10": unary(np.log10),
    "logaddexp": binary(np.logaddexp, "fV"), "logaddexp2": binary(np.logaddexp2, "fV"),
})
