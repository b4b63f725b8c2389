"""Comparison, selection, logic and bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import alike, binary, override, register

kernels = KernelTable()
register(kernels, {
    "eq": np.equal, "lt": np.less, "le": np.less_equal, "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
})


def _where_fresh(condition: Any, self: Any, other: Any) -> Any:
    if condition.dtype != np.bool_ or self is None or not alike(self, other):
        return NotImplemented
    return np.where(condition, self, other)


@kernels.register("select_where", fresh=_where_fresh)
def select_where(out: Any, condition: Any, self: Any, other: Any) -> None:
    """Elements of one or the other."""
    if np.may_share_memory(out, condition) or np.may_share_memory(out, self):
        out[...] = np.where(condition, self, other)
        return
    np.copyto(out, other)
    np.copyto(out, self, where=condition)


override(kernels, {
    "ne": binary(np.not_equal), "gt": binary(np.greater, "biufV"),
    "ge": binary(np.greater_equal, "biufV"), "where": _where_fresh,
    "bitwise_not": np.invert, "logical_not": np.logical_not,
    "logical_and": binary(np.logical_and), "logical_or": binary(np.logical_or),
    "logical_xor": binary(np.logical_xor), "isnan": np.isnan, "isinf": np.isinf,
    "isfinite": np.isfinite,
})
