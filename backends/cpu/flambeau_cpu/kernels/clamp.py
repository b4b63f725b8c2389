"""Limiting and choosing values."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import alike, binary, override

kernels = KernelTable()


def _clamp(x: Any, min: Any, max: Any) -> Any:
    if x.dtype.kind == "c" or not all(b is None or alike(x, b) for b in (min, max)):
        return NotImplemented
    if min is None:
        return np.minimum(x, max)
    return np.maximum(x, min) if max is None else np.minimum(np.maximum(x, min), max)


def _signbit(x: Any) -> Any:
    return np.signbit(x) if x.dtype.kind in "fV" else NotImplemented


override(kernels, {
    "clamp_to_numbers": _clamp, "clamp_to_tensors": _clamp,
    "fmax": binary(np.fmax, "iufV"), "fmin": binary(np.fmin, "iufV"),
    "signbit": _signbit, "copysign": binary(np.copysign, "fV"),
})
