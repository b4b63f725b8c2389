"""Affine maps of features."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.matmul import in_blas

kernels = KernelTable()
_dot: Any = np.ndarray.dot  # np.dot costs twice as much for small matrices
_add, _sum = np.add, np.add.reduce
SOME: Final = (12, 40)
"""So many rows OpenBLAS multiplies faster as columns on the right, if the weight is not small."""
LARGE: Final = 1 << 15


@kernels.register_fresh("linear")
def linear(input: Any, weight: Any, bias: Any) -> Any:
    """``input @ weight.T + bias`` with the bias added in place."""
    shape = input.shape
    if not shape or weight.ndim != 2 or shape[-1] != weight.shape[1] or not in_blas(
        input, weight, bias) or (bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    if len(shape) <= 2:
        if len(shape) == 2 and SOME[0] <= shape[0] <= SOME[1] and weight.size > LARGE:
            return _some_rows(input, weight, bias)
        y = _dot(input, weight.T)
    else:
        y = _dot(input.reshape(-1, shape[-1]), weight.T).reshape(*shape[:-1], weight.shape[0])
    return y if bias is None else _add(y, bias, y)


def _some_rows(x: Any, weight: Any, bias: Any) -> Any:
    """The product turned around, then turned back while the bias is added."""
    turned = _dot(weight, x.T).T
    y = np.empty(turned.shape, turned.dtype)
    if bias is None:
        np.copyto(y, turned)
        return y
    return _add(turned, bias, y)


@kernels.register_fresh("linear_grads")
def linear_grads(
    g: Any, input: Any, weight: Any, for_input: bool, for_weight: bool, for_bias: bool
) -> Any:
    """Two products and a column sum."""
    if weight.ndim != 2 or not in_blas(g, input, weight) or g.dtype.kind == "c":
        return NotImplemented
    flat = g if g.ndim == 2 else g.reshape(-1, g.shape[-1])
    dx = dw = db = None
    if for_input:
        dx = _dot(flat, weight)
        if g.ndim != 2:
            dx = dx.reshape(input.shape)
    if for_weight:
        dw = _dot(flat.T, input if input.ndim == 2 else input.reshape(-1, input.shape[-1]))
    if for_bias:
        db = _sum(flat, 0)
    return dx, dw, db
