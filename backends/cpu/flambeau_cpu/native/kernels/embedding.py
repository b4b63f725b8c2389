"""Rows of a table by index, and the gradient of the table."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.index import integers, library
from flambeau_cpu.native.kernels.index_dim import add_rows, take

kernels = NativeTable()


@kernels.fresh_form("embedding_rows", at=16)
def embedding_rows(
    indices: Any, weight: Any, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    """Rows of (entries, width) at indices: (*indices, width)."""
    if weight.ndim != 2 or indices.dtype.char not in "lqi":
        return NotImplemented
    return take(weight, indices, 0)


@kernels.fresh_form("embedding_dense_backward", at=4096)
def embedding_dense_backward(
    g: Any, indices: Any, num_weights: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    """Rows of the gradient summed by index, in their order."""
    if scale_grad_by_freq or not g.flags.c_contiguous:
        return NotImplemented
    result = empty((num_weights, g.shape[-1]), g.dtype)
    done = add_rows(
        result, indices.reshape(-1), g.reshape(-1, g.shape[-1]), True, padding_idx)
    return result if done else NotImplemented


@kernels.fresh_form("one_hot", at=64)
def one_hot(indices: Any, num_classes: int) -> Any:
    """A new last dimension with 1 at the index; what is outside is declined, to be named."""
    if indices.dtype != np.int64 or not indices.ndim or (c := library()) is None:
        return NotImplemented
    classes = int(indices.max()) + 1 if num_classes == -1 and indices.size else num_classes
    if classes < 1 or not indices.size:
        return NotImplemented
    out = empty((*indices.shape, classes), indices.dtype)
    done = c.fb_one_hot(out, integers(indices), indices.size, classes)
    return out if done else NotImplemented
