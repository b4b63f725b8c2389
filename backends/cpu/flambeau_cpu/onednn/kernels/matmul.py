"""Matrix products."""

from __future__ import annotations

from typing import Any, Final

from flambeau_cpu.onednn.choice import is_single, table, threshold
from flambeau_cpu.onednn.products import product

kernels = table()
LEAST: Final = threshold(1 << 21)
"""Multiplications from which on the call is worth its time."""


@kernels.fresh_form("matmul", at=2048, inputs=2)
def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` with broadcast batches."""
    if not is_single(a, b) or a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2] or (
        a.size * b.shape[-1] < LEAST):
        return NotImplemented
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:  # one product in place of a batch
        flat = product(a.reshape(-1, a.shape[-1]), b)
        return flat if flat is NotImplemented else flat.reshape(*a.shape[:-1], b.shape[1])
    wide = max(a.ndim, b.ndim)
    a, b = (x.reshape(*(1,) * (wide - x.ndim), *x.shape) for x in (a, b))
    if any(m != n and 1 not in (m, n) for m, n in zip(
            a.shape[:-2], b.shape[:-2], strict=True)):
        return NotImplemented
    return product(a, b)
