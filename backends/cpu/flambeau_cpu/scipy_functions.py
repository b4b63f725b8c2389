"""Kernels that are functions of ``scipy.special``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from flambeau.backend import KernelTable


@cache
def special() -> Any:
    """SciPy's module; None if it is not installed."""
    try:
        import scipy.special
    except ImportError:
        return None
    return scipy.special


def register(table: KernelTable, functions: Mapping[str, str]) -> None:
    """SciPy's functions, by name, as kernels of ops."""
    for op, name in functions.items():
        _register(table, op, name)


def _register(table: KernelTable, op: str, name: str) -> None:
    def fresh(*inputs: Any) -> Any:
        found = special()
        if found is None:
            raise ImportError(f'{op} needs SciPy: pip install "flambeau[special]"')
        what = inputs[0].dtype
        wide = [x if x.dtype.itemsize > 2 else x.astype(np.float32) for x in inputs]
        result = getattr(found, name)(*wide)
        if isinstance(result, tuple):  # airy gives its relatives, too
            result = result[0]
        return np.asarray(result).astype(what, copy=False)

    @table.register(op, fresh=fresh)
    def kernel(out: Any, *inputs: Any) -> None:
        out[...] = fresh(*inputs)
