"""Matrix products."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np

from flambeau.backend import broadcast_shapes
from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable, threshold
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import CODES

kernels = NativeTable()
_library = Library("gemm", {"has_fma": "I"} | {
    f"{name}_{t}": kinds for t in ("f32", "f64")
    for name, kinds in (
        ("product", "Iaaaaaiidd"), ("simple_product", "Iaaaaii"), ("dot", "aaaa"))})
LEAST: Final = threshold(1 << 18)
"""Multiply-adds from which on C is used: from there on OpenBLAS would wake threads of its own."""
LEAST_MATRIX: Final = threshold(9216)
"""The same for products with a vector."""
LEFT_TURNED: Final = 1
RIGHT_TURNED: Final = 2
"""Operands whose last two dimensions are exchanged."""


@cache
def _c() -> Any:
    """The functions in C, None also where multiply-adds would be emulated."""
    c = _library()
    return c if c is not None and c.has_fma() else None


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
    code, c, sizes, others = CODES.get(a.dtype.char), _c(), a.shape, b.shape
    if code is None or c is None or a.dtype != b.dtype:
        return NotImplemented
    if turned:
        sizes = sizes[:-2] + sizes[:-3:-1] if turned & LEFT_TURNED else sizes
        others = others[:-2] + others[:-3:-1] if turned & RIGHT_TURNED else others
    shape = _shape(sizes, others)
    if shape is None or _is_small(shape, sizes, others):
        return NotImplemented
    out = empty(shape, a.dtype)
    if alpha == 1 == beta:
        function = c.simple_product_f64 if code == 1 else c.simple_product_f32
        needed = function(a, b, out, summand, code, turned)
        if not needed:
            return out
        scratch = empty((needed,), _SUMS[code])
    else:
        scratch = None
    function = c.product_f64 if code == 1 else c.product_f32
    needed = function(a, b, out, summand, scratch, code, turned, alpha, beta)
    if needed:
        scratch = empty((needed,), _SUMS[code])
        function(a, b, out, summand, scratch, code, turned, alpha, beta)
    return out


_SUMS: Final = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float32),
                np.dtype(np.float32))
"""What the four dtypes are summed in."""


def _shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of a product, None if the operands do not fit."""
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        return None
    if len(a) == 2 == len(b):
        return (a[0], b[1])
    if len(b) <= 2:
        return a[:-1] + b[1:]
    return (*broadcast_shapes(a[:-2], b[:-2]), *a[-2:-1], b[-1])


def _is_small(shape: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    work = a[-1]
    for n in shape:
        work *= n
    if work >= LEAST:
        return False
    return work < LEAST_MATRIX or (1 not in shape[-2:] and len(a) > 1 < len(b))


@kernels.fresh_form("matmul", at=64, inputs=2)
def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` with broadcast batches."""
    return dot(a, b) if a.ndim == b.ndim == 1 else product(a, b)


PART: Final = 1 << 16
"""Elements of vectors whose products a task sums."""


def dot(a: Any, b: Any) -> Any:
    """The product of two vectors; NotImplemented for halves, gaps and short ones."""
    code, c, n = CODES.get(a.dtype.char, 2), _c(), a.size
    if c is None or code > 1 or a.dtype != b.dtype or b.size != n or n < LEAST_MATRIX:
        return NotImplemented
    if not a.flags.c_contiguous or not b.flags.c_contiguous:
        return NotImplemented
    out = empty((), a.dtype)
    (c.dot_f64 if code else c.dot_f32)(a, b, out, empty((-(-n // PART),), a.dtype))
    return out


@kernels.out_form("matmul", at=64)
def matmul_into(out: Any, a: Any, b: Any) -> Any:
    """``a @ b`` written to an array, which may be an operand."""
    result = matmul(a, b)
    if result is NotImplemented:
        return result
    np.copyto(out, result)
    return None
