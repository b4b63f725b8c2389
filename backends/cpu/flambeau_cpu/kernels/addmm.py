"""Sums of a matrix and a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.matmul import in_blas

kernels = KernelTable()
_dot, _add = np.dot, np.add


@kernels.register_fresh("addmm")
def addmm(self: Any, mat1: Any, mat2: Any, beta: Any, alpha: Any) -> Any:
    """``beta * self + alpha * (mat1 @ mat2)``, the product scaled and added to in place."""
    if mat1.ndim != 2 or mat2.ndim != 2 or mat1.shape[1] != mat2.shape[0] or not in_blas(
        mat1, mat2, self):
        return NotImplemented
    shape = (mat1.shape[0], mat2.shape[1])
    if self.shape != shape and self.shape != shape[1:]:
        return NotImplemented
    y = _dot(mat1, mat2)
    if alpha != 1:
        y *= alpha
    if beta == 0:
        return y
    return _add(y, self if beta == 1 else self * beta, y)
