"""Searching in sorted values."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import override

kernels = KernelTable()


def _count_below(sequence: Any, values: Any, right: bool) -> Any:
    if sequence.ndim != 1:
        return NotImplemented
    return np.searchsorted(sequence, values, "right" if right else "left")


override(kernels, {"count_below": _count_below})
