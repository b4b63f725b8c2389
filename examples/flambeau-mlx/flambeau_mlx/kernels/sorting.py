"""Sorting."""

from __future__ import annotations

import mlx.core as mx

from flambeau_mlx.kernels.table import table


@table.function("sort_stable")
def sort_stable(x: mx.array, dim: int, descending: bool) -> tuple[mx.array, mx.array]:
    """Values in order and where they were; descending is ascending from the other end."""
    if not x.ndim:
        return x, mx.zeros((), mx.int64)
    last = x.shape[dim] - 1
    backwards = (slice(None),) * dim + (slice(None, None, -1),)
    order = mx.argsort(x[backwards] if descending else x, dim).astype(mx.int64)
    if descending:
        order = last - order[backwards]
    return mx.take_along_axis(x, order, dim), order
