"""Sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


@kernels.register("sort_stable")
def sort_stable(out: Any, x: Any, dim: int, descending: bool) -> None:
    """Stable sort; NaN counts as greatest, so it comes first when descending."""
    values, indices = out
    if not x.ndim:
        values[...], indices[...] = x, 0
        return
    keys = x if x.dtype.kind != "V" else x.astype(np.float32)  # NumPy knows no NaN of bfloat16
    if descending:  # reverse twice, so that equal elements keep their order
        order = np.flip(np.argsort(np.flip(keys, dim), axis=dim, kind="stable"), dim)
        order = x.shape[dim] - 1 - order
    else:
        order = np.argsort(keys, axis=dim, kind="stable")
    indices[...] = order
    values[...] = np.take_along_axis(x, order, axis=dim)
