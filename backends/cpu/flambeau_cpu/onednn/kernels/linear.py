"""Affine maps of features."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau_cpu.onednn.choice import is_single, table
from flambeau_cpu.onednn.kernels.matmul import LEAST
from flambeau_cpu.onednn.products import product

kernels = table()


def _rows(x: Any) -> Any:
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


@kernels.fresh_form("linear", at=1024, inputs=3)
def linear(input: Any, weight: Any, bias: Any) -> Any:
    """``input @ weight.T + bias`` in one call."""
    if not is_single(input, weight, bias) or not input.ndim or weight.ndim != 2 or (
        input.shape[-1] != weight.shape[1]) or input.size * weight.shape[0] < LEAST or (
        bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    y = product(_rows(input), weight.T, bias)
    if y is NotImplemented or input.ndim == 2:
        return y
    return y.reshape(*input.shape[:-1], weight.shape[0])


@kernels.fresh_form("linear_grads", at=1024, inputs=3)
def linear_grads(
    g: Any, input: Any, weight: Any, for_input: bool, for_weight: bool, for_bias: bool
) -> Any:
    """Two products and a column sum."""
    if not is_single(g, input, weight) or weight.ndim != 2 or g.ndim < 2 or (
        g.shape[:-1] != input.shape[:-1]) or weight.shape != (g.shape[-1], input.shape[-1]) or (
        g.size * weight.shape[1] < LEAST):
        return NotImplemented
    rows = _rows(g)
    dx = product(rows, weight) if for_input else None
    dw = product(rows.T, _rows(input)) if for_weight else None
    if dx is NotImplemented or dw is NotImplemented:
        return NotImplemented
    return (dx if dx is None or g.ndim == 2 else dx.reshape(input.shape), dw,
            np.add.reduce(rows, 0) if for_bias else None)
