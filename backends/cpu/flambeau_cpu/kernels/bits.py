"""Shifts and divisors of integers."""

from __future__ import annotations

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import binary, override

kernels = KernelTable()
override(kernels, {
    "bitwise_left_shift": binary(np.left_shift, "iu"),
    "bitwise_right_shift": binary(np.right_shift, "iu"),
    "gcd": binary(np.gcd, "iu"), "lcm": binary(np.lcm, "iu"),
})
