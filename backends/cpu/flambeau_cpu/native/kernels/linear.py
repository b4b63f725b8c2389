"""Affine maps of features."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.matmul import LEFT_TURNED, RIGHT_TURNED, product

kernels = NativeTable()


@kernels.fresh_form("linear", at=64, inputs=3)
def linear(input: Any, weight: Any, bias: Any) -> Any:
    """``input @ weight.T + bias``, the bias added while the sums are in the cache."""
    if not input.ndim or weight.ndim != 2 or input.shape[-1] != weight.shape[1]:
        return NotImplemented
    if bias is not None and (bias.dtype != input.dtype or bias.shape != weight.shape[:1]):
        return NotImplemented
    return product(input, weight, RIGHT_TURNED, bias)


@kernels.fresh_form("linear_grads", at=64, inputs=3)
def linear_grads(
    g: Any, input: Any, weight: Any, for_input: bool, for_weight: bool, for_bias: bool
) -> Any:
    """Two products, and the sum of the rows as a product with ones."""
    if weight.ndim != 2 or g.ndim < 2 or g.dtype != input.dtype:
        return NotImplemented
    rows, flat = _flat(g), None
    dx = dw = db = None
    if for_weight:
        flat = _flat(input)
        dw = product(rows, flat, LEFT_TURNED)
        if dw is NotImplemented:
            return dw
    if for_input:
        dx = product(g, weight)
        if dx is NotImplemented:
            return dx
    if for_bias:
        db = product(_ones(rows.shape[0], rows.dtype), rows)
        if db is NotImplemented:
            db = np.add.reduce(rows, 0)
    return dx, dw, db


def _flat(x: Any) -> Any:
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


@lru_cache(maxsize=64)
def _ones(count: int, dtype: Any) -> Any:
    """So many ones, in the memory of one."""
    return np.broadcast_to(np.ones((), dtype), (count,))
