"""Comparison, selection and bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.pointwise import register

kernels = KernelTable()
for _name, _ufunc in {
    "eq": np.equal, "lt": np.less, "le": np.less_equal, "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
}.items():
    register(kernels, _name, _ufunc)


@kernels.register("select_where")
def select_where(out: Any, condition: Any, self: Any, other: Any) -> None:
    """Elements of one or the other."""
    if np.may_share_memory(out, condition) or np.may_share_memory(out, self):
        out[...] = np.where(condition, self, other)
        return
    np.copyto(out, other)
    np.copyto(out, self, where=condition)
