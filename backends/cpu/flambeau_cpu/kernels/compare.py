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


def _ordered(ufunc: Any) -> Any:
    """A comparison; declines complex numbers, and dtypes that have to be promoted first."""

    def compare(a: Any, b: Any) -> Any:
        try:
            if a.dtype != b.dtype or a.dtype.kind == "c":
                return NotImplemented
        except AttributeError:  # a number: NumPy compares it without rounding it
            if (a if hasattr(a, "dtype") else b).dtype.kind not in "iufV":
                return NotImplemented
        return ufunc(a, b)

    return compare


override(kernels, {
    "ne": binary(np.not_equal), "gt": _ordered(np.greater), "ge": _ordered(np.greater_equal),
    "where": _where_fresh,
    "bitwise_not": np.invert, "logical_not": np.logical_not,
    "logical_and": binary(np.logical_and), "logical_or": binary(np.logical_or),
    "logical_xor": binary(np.logical_xor), "isnan": np.isnan, "isinf": np.isinf,
    "isfinite": np.isfinite,
})
