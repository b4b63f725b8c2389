"""Greatest and smallest values, and where they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.axes import axes_of
from flambeau_cpu.elementwise import override

kernels = KernelTable()


def _along(ufunc: Any, argument: Any) -> Any:
    def values_and_indices(x: Any, dim: int, keepdim: bool) -> Any:
        if axes_of(x, dim) is None or not x.shape[dim]:
            return NotImplemented
        return ufunc.reduce(x, dim, None, None, keepdim), argument(x, dim, keepdims=keepdim)

    return values_and_indices


override(kernels, {
    "max_along": _along(np.maximum, np.argmax), "min_along": _along(np.minimum, np.argmin),
})
