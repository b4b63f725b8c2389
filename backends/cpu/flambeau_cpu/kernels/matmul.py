"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
_dot: Any = np.ndarray.dot  # np.dot costs twice as much for small matrices
_matmul = np.matmul


def product(a: Any, b: Any) -> Any:
    """``a @ b`` with broadcast batches."""
    dtype = a.dtype
    if dtype.itemsize == 2 and dtype.kind != "i":
        return _in_single(a, b)
    if a.ndim == 2 and b.ndim == 2:  # dot has less overhead
        return _dot(a, b)
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:  # one product in place of a batch
        rows = a.size // a.shape[-1] if a.size else 0
        flat = _dot(a.reshape(rows, a.shape[-1]), b) if rows else None
        if flat is not None:
            return flat.reshape(*a.shape[:-1], b.shape[1])
    return _matmul(_for_blas(a), _for_blas(b))


def _for_blas(a: Any) -> Any:
    """A copy if neither of the last two dimensions is dense: NumPy would multiply in a loop."""
    if a.ndim < 2 or a.strides[-1] == a.itemsize or a.strides[-2] == a.itemsize:
        return a
    return np.ascontiguousarray(a)


def _in_single(a: Any, b: Any) -> Any:
    """Half precision: no BLAS has it, so multiply in single and round once."""
    return np.asarray(product(a.astype(np.float32), b.astype(np.float32))).astype(a.dtype)


@kernels.register("matmul", fresh=product)
def matmul(out: Any, a: Any, b: Any) -> None:
    """Matrix product with broadcast batches."""
    out[...] = product(a, b)


def in_blas(a: Any, b: Any, c: Any = None) -> bool:
    """Whether operands are of one dtype, and of one that BLAS multiplies."""
    d = a.dtype
    return d.kind in "fc" and d.itemsize > 2 and b.dtype is d and (c is None or c.dtype is d)
