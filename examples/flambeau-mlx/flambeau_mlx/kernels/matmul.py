"""Matrix products."""

from __future__ import annotations

import mlx.core as mx

from flambeau_mlx.kernels.table import table

BLOCK = 1 << 22
"""Elements of a product of integers that are made at a time."""


@table.function("matmul")
def matmul(a: mx.array, b: mx.array) -> mx.array:
    """Products with broadcast batches."""
    if mx.issubdtype(a.dtype, mx.inexact):
        return mx.matmul(a, b)
    return _integers(a, b)


def _integers(a: mx.array, b: mx.array) -> mx.array:
    """MLX multiplies floating matrices only: integers are summed block by block."""
    rows = a[None] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    inner = rows.shape[-1]
    batch = mx.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    total = mx.zeros((*batch, rows.shape[-2], columns.shape[-1]), a.dtype)
    step = max(1, BLOCK // max(total.size, 1))
    for start in range(0, inner, step):
        left = rows[..., :, start : start + step, None]
        right = columns[..., None, start : start + step, :]
        total = total + mx.sum(left * right, -2).astype(a.dtype)
    if b.ndim == 1:
        total = total[..., 0]
    return total[..., 0, :] if a.ndim == 1 and b.ndim > 1 else (total[0] if a.ndim == 1 else total)
