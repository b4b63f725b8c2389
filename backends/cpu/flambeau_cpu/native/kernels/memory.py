"""Copying, converting and filling."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.copy import copied, copied_to, filled
from flambeau_cpu.native.pointwise import LIGHT, empty_like

kernels = NativeTable()


@kernels.out_form("copy", at=LIGHT, inputs=1)
def copy(out: Any, source: Any) -> Any:
    """Copy with conversion."""
    return None if copied_to(out, source) else NotImplemented


@kernels.fresh_form("to_copy", at=LIGHT, inputs=1)
def to_copy(x: Any, dtype: Any = None, device: Any = None, memory_format: Any = None) -> Any:
    """A copy in the memory order of a dense array."""
    if x.__class__ is not np.ndarray or not (
            dtype is None and device is None and memory_format is None):
        return NotImplemented
    out = empty_like(x.shape, x.dtype, [x])
    if out.strides != x.strides and not out.flags.c_contiguous:
        return NotImplemented  # an array with gaps gets a row-major copy
    return out if copied(out, x) else NotImplemented


@kernels.out_form("fill", at=LIGHT, inputs=0)
def fill(out: Any, value: Any) -> Any:
    """Set every element."""
    return None if filled(out, value) else NotImplemented
