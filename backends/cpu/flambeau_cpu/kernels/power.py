"""Powers, roots and reciprocals."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import binary, override, unary

kernels = KernelTable()


def _rsqrt(x: Any) -> Any:
    return np.reciprocal(np.sqrt(x))


def _square(x: Any) -> Any:
    return NotImplemented if x.dtype.kind == "b" else np.square(x)


override(kernels, {
    "reciprocal": unary(np.reciprocal), "rsqrt": unary(_rsqrt), "square": _square,
    "hypot": binary(np.hypot, "fV"),
})
