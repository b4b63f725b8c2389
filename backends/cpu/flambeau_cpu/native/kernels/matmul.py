"""Matrix products."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import broadcast_shapes
from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable, threshold
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import CODES

kernels = NativeTable()
_c = Library("gemm", {f"product_{t}": "Iaaaaaiidd" for t in ("f32", "f64")})
LEAST: Final = threshold(1 << 18)
"""Multiply-adds from which on C is used: from there on OpenBLAS would wake threads of its own."""
LEAST_MATRIX: Final = threshold(1 << 13)
"""Elements of a matrix from which on its product with a vector is worth it."""
LEFT_TURNED: Final = 1
RIGHT_TURNED: Final = 2
"""Operands whose last two dimensions are exchanged."""


def product(
    a: Any, b: Any, turned: int = 0, summand: Any = None, alpha: float = 1, beta: float = 1
) -> Any:
    """``alpha * (a @ b) + beta * summand``.

    Args:
        a: dimensions before the last two are broadcast with those of ``b``.
        turned: ``LEFT_TURNED`` and ``RIGHT_TURNED``, added.
        summand: of the operands' dtype, or None.

    Returns:
        A row-major array; NotImplemented for dtypes other than the four floating ones, for
        operands of different dtypes or that do not fit, and for small products.
    """
    code, c = CODES.get(a.dtype.char), _c()
    if code is None or c is None or a.dtype != b.dtype or not a.ndim or not b.ndim:
        return NotImplemented
    inner = a.shape[-2 if turned & LEFT_TURNED else -1]
    if inner != b.shape[-1 if turned & RIGHT_TURNED or b.ndim == 1 else -2]:
        return NotImplemented
    shape = _shape(a.shape, b.shape, turned)
    work = inner
    for n in shape:
        work *= n
    if work < LEAST and (work < LEAST_MATRIX or (1 not in shape[-2:] and a.ndim > 1 < b.ndim)):
        return NotImplemented
    out = empty(shape, a.dtype)
    function = c.product_f64 if code == 1 else c.product_f32
    needed = function(a, b, out, summand, None, code, turned, alpha, beta)
    if needed:
        scratch = empty((needed,), _SUMS[code])
        function(a, b, out, summand, scratch, code, turned, alpha, beta)
    return out


_SUMS: Final = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float32),
                np.dtype(np.float32))
"""What the four dtypes are summed in."""


def _shape(a: tuple[int, ...], b: tuple[int, ...], turned: int) -> tuple[int, ...]:
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    if len(a) > 1:
        rows = (a[-1 if turned & LEFT_TURNED else -2],)
    if len(b) > 1:
        columns = (b[-2 if turned & RIGHT_TURNED else -1],)
    if len(a) == 2 >= len(b):
        return rows + columns
    if len(b) <= 2:
        return a[:-2] + rows + columns
    return broadcast_shapes(a[:-2], b[:-2]) + rows + columns


@kernels.fresh_form("matmul", at=64)
def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` with broadcast batches."""
    if a.ndim == b.ndim == 1:
        return NotImplemented
    return product(a, b)


@kernels.out_form("matmul", at=64)
def matmul_into(out: Any, a: Any, b: Any) -> Any:
    """``a @ b`` written to an array, which may be an operand."""
    result = matmul(a, b)
    if result is NotImplemented:
        return result
    np.copyto(out, result)
    return None
