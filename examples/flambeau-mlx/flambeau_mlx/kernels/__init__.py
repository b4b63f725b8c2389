"""Kernels, all of the required primitives and some fused composites."""

from flambeau_mlx.kernels import fused, index, matmul, pointwise, reduce, sorting  # noqa: F401
from flambeau_mlx.kernels.table import table

__all__ = ["table"]
