"""Softmax and its logarithm, row by row in the cache; results are row-major, as PyTorch's."""

from __future__ import annotations

from typing import Any

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.library import Library
from flambeau_cpu.native.order import CODES, dense

kernels = NativeTable()
_c = Library("softmax", {"fb_softmax": "Iaaiii", "fb_softmax_backward": "Iaaaiii"})


def _forward(x: Any, dim: int, is_log: int) -> Any:
    c, code = _c(), CODES.get(x.dtype.char)
    if c is None or code is None or not x.ndim:
        return NotImplemented
    out = empty(x.shape, x.dtype)
    if c.fb_softmax(out, x, dim, is_log, code):
        return out
    if x.flags.c_contiguous or not -x.ndim <= dim < x.ndim:
        return NotImplemented
    c.fb_softmax(out, dense(x), dim, is_log, code)
    return out


def _backward(grad: Any, output: Any, dim: int, is_log: int) -> Any:
    c, code = _c(), CODES.get(output.dtype.char)
    if c is None or code is None or grad.dtype != output.dtype or grad.shape != output.shape or (
            not output.ndim):
        return NotImplemented
    out = empty(output.shape, output.dtype)
    if c.fb_softmax_backward(out, grad, output, dim, is_log, code):
        return out
    if not -output.ndim <= dim < output.ndim:
        return NotImplemented
    c.fb_softmax_backward(out, dense(grad), dense(output), dim, is_log, code)
    return out


@kernels.fresh_form("softmax_along", at=1)
def softmax_along(self: Any, dim: int) -> Any:
    """exp(x) divided by its sum."""
    return _forward(self, dim, 0)


@kernels.fresh_form("log_softmax_along", at=1)
def log_softmax_along(self: Any, dim: int) -> Any:
    """The input less the logarithm of the sum of exponentials."""
    return _forward(self, dim, 1)


@kernels.fresh_form("softmax_backward", at=1)
def softmax_backward(grad: Any, output: Any, dim: int) -> Any:
    """``(grad - sum(grad * output)) * output``."""
    return _backward(grad, output, dim, 0)


@kernels.fresh_form("log_softmax_backward", at=1)
def log_softmax_backward(grad: Any, output: Any, dim: int) -> Any:
    """``grad - exp(output) * sum(grad)``."""
    return _backward(grad, output, dim, 1)
