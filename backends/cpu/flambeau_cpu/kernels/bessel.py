"""Bessel and Airy functions, by SciPy's special functions."""

from __future__ import annotations

from flambeau.backend import KernelTable
from flambeau_cpu.scipy_functions import register

kernels = KernelTable()

register(kernels, {
    "i0": "i0", "i0e": "i0e", "i1": "i1", "i1e": "i1e", "bessel_j0": "j0", "bessel_j1": "j1",
    "bessel_y0": "y0", "bessel_y1": "y1", "modified_bessel_k0": "k0", "modified_bessel_k1": "k1",
    "scaled_modified_bessel_k0": "k0e", "scaled_modified_bessel_k1": "k1e", "airy_ai": "airy",
})
