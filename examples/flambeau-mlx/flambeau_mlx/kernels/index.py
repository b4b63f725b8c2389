"""Gather and scatter along a dimension.

MLX does not look whether an index is within bounds, and reads or writes whatever is there.  So it
is given indices that are, and a check is left for the next time the device is waited for.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from flambeau.backend.functional import within
from flambeau_mlx.kernels.table import table


def bounded(index: mx.array, size: int, dim: int) -> mx.array:
    """An index that is safe to use, and its check."""
    if not index.size:
        return index
    table.runtime.later(within(size, dim), mx.min(index), mx.max(index))
    return mx.clip(index, 0, max(size - 1, 0))


def _lines(shape: tuple[int, ...], dim: int) -> tuple[slice, ...]:
    """The part of an array that an index of a shape reaches along a dimension."""
    return tuple(slice(None) if d == dim else slice(0, n) for d, n in enumerate(shape))


def _columns(x: Any) -> Any:
    return x[None] if isinstance(x, mx.array) and not x.ndim else x


@table.function("gather")
def gather(x: mx.array, index: mx.array, dim: int) -> mx.array:
    """Elements at an index along a dimension."""
    shape, x, index = index.shape, _columns(x), _columns(index)
    if not index.size:
        return mx.zeros(shape, x.dtype)
    index = bounded(index, x.shape[dim], dim)
    return mx.take_along_axis(x[_lines(index.shape, dim)], index, dim).reshape(shape)


@table.function("scatter_elements")
def scatter_elements(x: mx.array, index: mx.array, src: Any, dim: int) -> mx.array:
    """A copy with elements at an index along a dimension replaced."""
    if not index.size:
        return x
    result, index = mx.array(_columns(x)), _columns(index)
    index = bounded(index, result.shape[dim], dim)
    src = mx.broadcast_to(mx.array(src, x.dtype) if not isinstance(src, mx.array) else src,
                          index.shape)
    lines = _lines(index.shape, dim)
    result[lines] = mx.put_along_axis(result[lines], index, src, dim)
    return result.reshape(x.shape)


@table.function("scatter_add")
def scatter_add(x: mx.array, index: mx.array, src: mx.array, dim: int) -> mx.array:
    """A copy with elements added at an index along a dimension."""
    if not index.size:
        return x
    wide, index = _columns(x), _columns(index)
    index = bounded(index, wide.shape[dim], dim)
    places = tuple(
        index if d == dim else mx.arange(n).reshape((n,) + (1,) * (index.ndim - 1 - d))
        for d, n in enumerate(index.shape)
    )
    return wide.at[places].add(mx.broadcast_to(src, index.shape)).reshape(x.shape)


@table.override("index_select")
def index_select(x: mx.array, index: mx.array, dim: int) -> Any:
    """Whole slices, without an index for each element."""
    if not x.size or index.ndim != 1 or index.dtype != mx.int64 or not -x.ndim <= dim < x.ndim:
        return NotImplemented
    return mx.take(x, bounded(index, x.shape[dim], dim), dim)


@table.override("embedding_dense_backward")
def embedding_dense_backward(
    grad: mx.array, indices: mx.array, num_weights: int, padding_idx: int,
    scale_grad_by_freq: bool,
) -> Any:
    """Rows of the gradient added up by index."""
    if scale_grad_by_freq or padding_idx >= 0 or not grad.size:
        return NotImplemented
    rows = grad.reshape(-1, grad.shape[-1])
    index = bounded(indices.reshape(-1), num_weights, 0)
    return mx.zeros((num_weights, rows.shape[1]), grad.dtype).at[index].add(rows)


@table.override("cat")
def cat(tensors: list[mx.array], dim: int) -> Any:
    """Arrays one after the other; a composite would write each into a copy of the whole."""
    first = tensors[0] if tensors else None
    if first is None or not first.ndim or not -first.ndim <= dim < first.ndim or any(
            t.dtype != first.dtype or t.ndim != first.ndim for t in tensors):
        return NotImplemented
    return mx.concatenate(tensors, dim)
