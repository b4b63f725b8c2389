"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import override, unary

kernels = KernelTable()


override(kernels, {
    name: unary(ufunc) for name, ufunc in {
        "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
        "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    }.items()
})
