"""Elementwise calls of the C library.

NumPy's float64 ``log``, ``sin``, ``cos``... are vector routines of its own that differ from the
C library in the last place; PyTorch's serial kernels call the C library, as :mod:`math` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from flambeau.rng.types import F64


def map_libm(function: Callable[[float], float], x: F64) -> F64:
    """``function`` of every element of a 1-D array."""
    return np.fromiter(map(function, x.tolist()), np.float64, x.size)


def log(x: float) -> float:
    """Natural logarithm; minus infinity at zero, as in C."""
    return math.log(x) if x else -math.inf


def exp(x: float) -> float:
    """Exponential; infinity on overflow, as in C."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf
