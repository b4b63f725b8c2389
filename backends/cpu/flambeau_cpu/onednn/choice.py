"""From which size on oneDNN takes over from NumPy."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.onednn.library import IS_OFF

_LEAST: Final = os.environ.get("FLAMBEAU_ONEDNN_MIN", "")
_SINGLE: Final = np.dtype(np.float32)


def threshold(elements: int) -> int:
    """A size in elements, as the environment changes it."""
    return int(_LEAST) if _LEAST.isdigit() else elements


def table() -> NativeTable:
    """An empty table of kernels: what they decline, NumPy does."""
    return NativeTable(threshold, IS_OFF)


def is_single(*arrays: Any) -> bool:
    """Whether all are arrays of single precision with elements; None may be among them."""
    return all(
        a is None or (isinstance(a, np.ndarray) and a.dtype is _SINGLE and a.size > 0)
        for a in arrays)
