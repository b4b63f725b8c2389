"""Order statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.axes import axes_of
from flambeau_cpu.elementwise import override

kernels = KernelTable()
_MANY = 64


def _topk(x: Any, k: int, dim: int, largest: bool) -> Any:
    """Select first, then sort the few: pays when k is small against the dimension."""
    if axes_of(x, dim) is None or not 0 < k <= x.shape[dim] // 4 or x.shape[dim] < _MANY:
        return NotImplemented
    n = x.shape[dim]
    order = np.argpartition(x, n - k if largest else k - 1, dim)  # NaN counts as greatest
    few = np.take(order, range(n - k, n) if largest else range(k), dim)
    values = np.take_along_axis(x, few, dim)
    rank = np.argsort(values, dim, kind="stable")
    rank = np.flip(rank, dim) if largest else rank
    return np.take_along_axis(values, rank, dim), np.take_along_axis(few, rank, dim)


override(kernels, {"topk_along": _topk})
