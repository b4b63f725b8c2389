"""The gradient of an embedding's table."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.index_dim import add_rows

kernels = KernelTable()


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
