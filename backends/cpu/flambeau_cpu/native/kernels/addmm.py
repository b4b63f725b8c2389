"""Sums of a matrix and a product."""

from __future__ import annotations

from typing import Any

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.matmul import product

kernels = NativeTable()


@kernels.fresh_form("addmm", at=1)
def addmm(self: Any, mat1: Any, mat2: Any, beta: Any, alpha: Any) -> Any:
    """``beta * self + alpha * (mat1 @ mat2)``, finished while the sums are in the cache."""
    if mat1.ndim != 2 or mat2.ndim != 2 or mat1.shape[1] != mat2.shape[0]:
        return NotImplemented
    shape = (mat1.shape[0], mat2.shape[1])
    if self.dtype != mat1.dtype or self.shape not in (shape, shape[1:]):
        return NotImplemented
    return product(mat1, mat2, 0, self if beta != 0 else None, alpha, beta)
