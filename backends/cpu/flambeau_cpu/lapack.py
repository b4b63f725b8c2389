"""Factorizations that NumPy does not offer, for single matrices."""

from __future__ import annotations

from typing import Any

import numpy as np


def factorized(a: Any, pivot: bool) -> tuple[Any, Any]:
    """L and U in one matrix, and LAPACK's row exchanges (from 1): Gaussian elimination.

    Args:
        pivot: whether rows are exchanged so that the greatest pivot is used.
    """
    packed = np.array(a, order="C")
    rows, columns = packed.shape
    swaps = np.arange(1, min(rows, columns) + 1, dtype=np.int32)
    for k in range(min(rows, columns)):
        if pivot:
            best = k + int(np.argmax(_size(packed[k:, k])))
            swaps[k] = best + 1
            if best != k:
                packed[[k, best]] = packed[[best, k]]
        if packed[k, k] != 0:
            packed[k + 1 :, k] /= packed[k, k]
            packed[k + 1 :, k + 1 :] -= packed[k + 1 :, k, None] * packed[k, k + 1 :]
    return packed, swaps


def _size(x: Any) -> Any:
    """What LAPACK compares pivots by."""
    return np.abs(x.real) + np.abs(x.imag) if x.dtype.kind == "c" else np.abs(x)


def first_zero(packed: Any) -> int:
    """The number (from 1) of the first zero on the diagonal, 0 if there is none."""
    zeros = np.flatnonzero(np.diagonal(packed) == 0)
    return int(zeros[0]) + 1 if zeros.size else 0
