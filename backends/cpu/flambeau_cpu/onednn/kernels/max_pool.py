"""Greatest values of windows.

oneDNN passes over NaN, and takes the least finite number for minus infinity: where there is one
of them, NumPy decides.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.onednn.choice import is_single, table
from flambeau_cpu.onednn.library import api
from flambeau_cpu.onednn.pooling import MAX, planned, pooling
from flambeau_cpu.onednn.rows import in_memory_order, run
from flambeau_cpu.onednn.windows import as_format, dense, is_last, new_images

kernels = table()
_LEAST: Final = np.finfo(np.float32).min
_BYTE: Final = np.dtype(np.uint8)


@kernels.fresh_form("max_pool_windows", at=8192)
def max_pool_windows(
    self: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    """The values, and from which element of its window each comes."""
    if not is_single(self) or api() is None or self.ndim < 3:
        return NotImplemented
    x = dense(self)
    last = is_last(x)
    p = pooling(MAX, x.shape, kernel_size, stride, padding, dilation, ceil_mode, last)
    plan = None if p is None else planned(p, False)
    if p is None or plan is None or np.isnan(np.maximum.reduce(in_memory_order(x))):
        return NotImplemented
    out, which = new_images(p.y, last), new_images(p.y, last, _BYTE)
    run(plan, (x, which, out), (x.strides[0], which.strides[0], out.strides[0]))
    if np.minimum.reduce(in_memory_order(out)) == _LEAST:
        return NotImplemented
    return out, which


@kernels.fresh_form("max_pool_values", at=8192)
def max_pool_values(
    self: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    """The values alone."""
    result = max_pool_windows(self, kernel_size, stride, padding, dilation, ceil_mode)
    return result if result is NotImplemented else result[0]


@kernels.fresh_form("max_pool_scatter", at=4096)
def max_pool_scatter(
    grad: Any, which: Any, size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Any:
    """The gradient, added to the element that each value came from."""
    if not is_single(grad) or api() is None or which.dtype != _BYTE or grad.ndim < 3:
        return NotImplemented
    which = dense(which)
    last = is_last(which)
    p = pooling(MAX, tuple(size), kernel_size, stride, padding, dilation, ceil_mode, last)
    plan = None if p is None or grad.shape != p.y else planned(p, True)
    if p is None or plan is None:
        return NotImplemented
    grad, dx = as_format(grad, last), new_images(p.x, last)
    run(plan, (grad, which, dx), (grad.strides[0], which.strides[0], dx.strides[0]))
    return dx
