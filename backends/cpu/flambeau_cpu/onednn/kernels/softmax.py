"""Softmax, and its gradient and that of its logarithm, along the last dimension.

Not the logarithm itself: oneDNN's is off by up to 4e-6 where it is near 0, as for targets that a
model is sure of.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from flambeau_cpu.memory import empty
from flambeau_cpu.onednn.choice import is_single, table
from flambeau_cpu.onednn.library import api
from flambeau_cpu.onednn.primitive import DIFF_DST, DIFF_SRC, DST, SRC, Builder, Form, Primitive
from flambeau_cpu.onednn.rows import Cut, cut, run_checked

kernels = table()
_TRAINING: Final = 64
_SOFTMAX, _LOG_SOFTMAX = 0x30000, 0x30001
_COST: Final = 0.6e-3  # microseconds for an element


@lru_cache(maxsize=256)
def _plan(algorithm: int, rows: int, width: int, backward: bool) -> Cut | None:
    def make(b: Builder, count: int) -> Primitive:
        form = Form.dense((count, width))
        forward = b.describe("softmax_forward", _TRAINING, algorithm, form, form, 1)
        if not backward:
            return Primitive(forward, SRC, DST)
        return Primitive(b.describe(
            "softmax_backward", algorithm, form, form, form, 1, forward),
            DIFF_DST, DST, DIFF_SRC)

    return cut(rows, rows * width * _COST, make)


def _run(algorithm: int, arrays: tuple[Any, ...], dim: int) -> Any:
    x = arrays[0]
    if not is_single(*arrays) or x.ndim < 1 or dim not in (-1, x.ndim - 1) or api() is None or any(
        a.shape != x.shape or not a.flags.c_contiguous for a in arrays):
        return NotImplemented
    width = x.shape[-1]
    plan = _plan(algorithm, x.size // width, width, len(arrays) == 2)
    if plan is None:
        return NotImplemented
    out = empty(x.shape, x.dtype)
    return out if run_checked(plan, (*arrays, out), width, out) else NotImplemented


@kernels.fresh_form("softmax_along", at=16384)
def softmax(x: Any, dim: int) -> Any:
    """Forward."""
    return _run(_SOFTMAX, (x,), dim)


@kernels.fresh_form("softmax_backward", at=16384)
def softmax_backward(grad: Any, output: Any, dim: int) -> Any:
    """From the result."""
    return _run(_SOFTMAX, (grad, output), dim)


@kernels.fresh_form("log_softmax_backward", at=16384)
def log_softmax_backward(grad: Any, output: Any, dim: int) -> Any:
    """From the result."""
    return _run(_LOG_SOFTMAX, (grad, output), dim)
