"""Rows of an embedding's table, and the gradient of the table."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.index_dim import add_rows

kernels = KernelTable()


@kernels.register_fresh("embedding_rows")
def embedding_rows(
    indices: Any, weight: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False
) -> Any:
    """Rows of the table; an index that is out of range is left to the decomposition to name."""
    if weight.ndim != 2 or indices.dtype != np.int64:
        return NotImplemented
    if indices.size == 1:
        last = indices.item()  # a reduction costs more than the rest
    else:
        last = indices.view(np.uint64).max() if indices.size else 0  # negative ones are large
    return weight[indices] if 0 <= last < len(weight) else NotImplemented


@kernels.register_fresh("embedding_dense_backward")
def embedding_dense_backward(
    g: Any, indices: Any, num_weights: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    """Rows of the gradient summed by index."""
    if scale_grad_by_freq:
        return NotImplemented
    index, rows = indices.reshape(-1), g.reshape(-1, g.shape[-1])
    if padding_idx >= 0:
        kept = index != padding_idx
        index, rows = index[kept], rows[kept]
    result = np.zeros((num_weights, rows.shape[1]), g.dtype)
    add_rows(result, index, rows)
    return result
