"""Means of windows."""

from __future__ import annotations

from typing import Any, Final

from flambeau_cpu.onednn.choice import is_single, table
from flambeau_cpu.onednn.library import api
from flambeau_cpu.onednn.pooling import Pooling, planned, pooling
from flambeau_cpu.onednn.rows import run
from flambeau_cpu.onednn.windows import dense, is_last, new_images

kernels = table()
_WITH_PADDING, _WITHOUT_PADDING = 0x2FF, 0x3FF
_NO_DILATION: Final = (1, 1, 1)


def _pooling(
    shape: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, with_padding: bool,
    last: bool,
) -> Pooling | None:
    algorithm = _WITH_PADDING if with_padding else _WITHOUT_PADDING
    p = pooling(algorithm, tuple(shape), kernel, stride, padding, _NO_DILATION[: len(kernel)],
                ceil_mode, last)
    if p is not None and with_padding and any(
        a > q for a, q in zip(p.windows.after, p.windows.padding, strict=True)):
        return None  # PyTorch counts nothing past the padding, oneDNN does
    return p


@kernels.fresh_form("avg_pool_windows", at=8192)
def avg_pool_windows(
    self: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:
    """Forward."""
    if not is_single(self) or api() is None or self.ndim < 3 or divisor_override:
        return NotImplemented
    x = dense(self)
    last = is_last(x)
    p = _pooling(x.shape, kernel_size, stride, padding, ceil_mode, count_include_pad, last)
    plan = None if p is None else planned(p, False)
    if p is None or plan is None:
        return NotImplemented
    out = new_images(p.y, last)
    run(plan, (x, out), (x.strides[0], out.strides[0]))
    return out


@kernels.fresh_form("avg_pool_spread", at=4096)
def avg_pool_spread(
    grad: Any, size: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:
    """The adjoint."""
    if not is_single(grad) or api() is None or grad.ndim < 3 or divisor_override:
        return NotImplemented
    grad = dense(grad)
    last = is_last(grad)
    p = _pooling(size, kernel_size, stride, padding, ceil_mode, count_include_pad, last)
    plan = None if p is None or grad.shape != p.y else planned(p, True)
    if p is None or plan is None:
        return NotImplemented
    dx = new_images(p.x, last)
    run(plan, (grad, dx), (grad.strides[0], dx.strides[0]))
    return dx
