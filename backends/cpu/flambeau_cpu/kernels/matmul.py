"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
_dot, _matmul = np.dot, np.matmul


def _matmul_fresh(a: Any, b: Any) -> Any:
    if a.dtype.itemsize == 2 and a.dtype.kind != "i":
        return _in_single(a, b)
    if a.ndim == 2 and b.ndim == 2:  # dot has less overhead
        return _dot(a, b)
    return _matmul(a, b)


def _in_single(a: Any, b: Any) -> Any:
    """Half precision: no BLAS has it, so multiply in single and round once."""
    return np.asarray(_matmul_fresh(a.astype(np.float32), b.astype(np.float32))).astype(a.dtype)


@kernels.register("matmul", fresh=_matmul_fresh)
def matmul(out: Any, a: Any, b: Any) -> None:
    """Matrix product with broadcast batches."""
    out[...] = _matmul_fresh(a, b)


@kernels.register_fresh("linear")
def linear(x: Any, weight: Any, bias: Any) -> Any:
    """``x @ weight.T + bias`` with the bias added in place."""
    if x.dtype != weight.dtype or x.dtype.itemsize == 2 or x.ndim < 1 or weight.ndim != 2 or (
        x.shape[-1] != weight.shape[1] or (bias is not None and bias.dtype != x.dtype)):
        return NotImplemented
    if x.ndim <= 2:
        y = _dot(x, weight.T)
    else:
        y = _dot(x.reshape(-1, x.shape[-1]), weight.T).reshape(*x.shape[:-1], weight.shape[0])
    if bias is None:
        return y
    return np.add(y, bias, y)
