"""Copying, converting and filling."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable, threshold
from flambeau_cpu.native.copy import copied_to, filled
from flambeau_cpu.native.order import memory_axes
from flambeau_cpu.native.pointwise import LIGHT, MEDIUM, empty_like

kernels = NativeTable()


_flat_at = threshold(LIGHT)


def _is_for_numpy(x: Any, like: Any) -> bool:
    """Whether a copy is small, plain and between row-major arrays."""
    return bool(
        x.size < _flat_at and x.dtype == like.dtype and x.flags.c_contiguous
        and like.flags.c_contiguous)


@kernels.out_form("copy", at=MEDIUM, inputs=1)
def copy(out: Any, source: Any) -> Any:
    """Copy with conversion."""
    if source.__class__ is not np.ndarray or _is_for_numpy(source, out):
        return NotImplemented
    return None if copied_to(out, source) else NotImplemented


@kernels.fresh_form("to_copy", at=MEDIUM, inputs=1)
def to_copy(x: Any, dtype: Any = None, device: Any = None, memory_format: Any = None) -> Any:
    """A copy in the memory order of a dense array, else row-major."""
    if x.__class__ is not np.ndarray or memory_format is not None or (
            device is not None and device.type != "cpu"):
        return NotImplemented
    if dtype is None and _is_for_numpy(x, x):
        return NotImplemented
    what = x.dtype if dtype is None else dtype.numpy
    is_dense = memory_axes(x) is not None
    out = empty_like(x.shape, what, [x]) if is_dense else empty(x.shape, what)
    return out if copied_to(out, x) else NotImplemented


@kernels.out_form("fill", at=LIGHT, inputs=0)
def fill(out: Any, value: Any) -> Any:
    """Set every element."""
    return None if filled(out, value) else NotImplemented
