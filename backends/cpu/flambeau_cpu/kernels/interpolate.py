"""Weighted sums of elements along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
Array = np.ndarray[Any, Any]


def _weights(table: Any, t: int, x: Array, dim: int) -> Array:
    weights: Array = table.weights[t].astype(x.dtype)
    return weights.reshape(-1, *(1,) * (x.ndim - 1 - dim))


@kernels.register_fresh("resample")
def resample(self: Any, dim: int, table: Any) -> Any:
    """One ``take`` per tap."""
    if table.weights is None:
        return self.take(table.places[0], dim)
    if self.dtype.kind != "f" or self.itemsize < 4:
        return NotImplemented
    out: Any = None
    for t, places in enumerate(table.places):
        part = self.take(places, dim)
        np.multiply(part, _weights(table, t, self, dim), part)
        out = part if out is None else np.add(out, part, out)
    return out


@kernels.register_fresh("resample_adjoint")
def resample_adjoint(grad: Any, dim: int, table: Any, size: int) -> Any:
    """Places never fall along the output, so each input element's share is a run: ``reduceat``."""
    if grad.dtype.kind != "f" or grad.itemsize < 4 or not grad.size:
        return NotImplemented
    out = np.zeros((*grad.shape[:dim], size, *grad.shape[dim + 1 :]), grad.dtype)
    lead: tuple[Any, ...] = (slice(None),) * dim
    for t, places in enumerate(table.places):
        part = grad if table.weights is None else grad * _weights(table, t, grad, dim)
        targets, starts = np.unique(places, return_index=True)
        out[(*lead, targets)] += np.add.reduceat(part, starts, dim)
    return out
