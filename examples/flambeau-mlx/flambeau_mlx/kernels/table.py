"""The table that the kernels stand in."""

from __future__ import annotations

from flambeau.backend.functional import FunctionTable
from flambeau_mlx.arrays import MlxArrays

table = FunctionTable(MlxArrays())
