"""Running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.axes import axes_of
from flambeau_cpu.elementwise import is_real, override

kernels = KernelTable()


@kernels.register("cumsum")
def cumsum(out: Any, x: Any, dim: int) -> None:
    """Running sum, half precision in single."""
    if not x.ndim:
        out[...] = x
        return
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        out[...] = np.add.accumulate(x.astype(np.float32), dim)
        return
    np.add.accumulate(x, dim, out=out)


def _cumprod(x: Any, dim: int, dtype: Any) -> Any:
    axes = axes_of(x, dim)
    if axes is None or dtype is not None or x.dtype.itemsize == 2:
        return NotImplemented
    return np.multiply.accumulate(x, dim, np.int64 if x.dtype.kind in "biu" else None)


def _cumulative_extreme(ufunc: Any) -> Any:
    def values_and_indices(x: Any, dim: int) -> Any:
        axes = axes_of(x, dim)
        if axes is None:
            return NotImplemented
        values = ufunc.accumulate(x, dim)
        place = np.arange(x.shape[dim]).reshape([-1 if d == dim % x.ndim else 1
                                                 for d in range(x.ndim)])
        attained = (x == values) | ((x != x) & (values != values))
        return values, np.maximum.accumulate(np.where(attained, place, 0), dim)

    return values_and_indices


def _logcumsumexp(x: Any, dim: int) -> Any:
    axes = axes_of(x, dim)
    if axes is None or not is_real(x):
        return NotImplemented
    return np.logaddexp.accumulate(x, dim)


override(kernels, {
    "cumprod": _cumprod, "logcumsumexp": _logcumsumexp,
    "cummax_along": _cumulative_extreme(np.maximum),
    "cummin_along": _cumulative_extreme(np.minimum),
})
