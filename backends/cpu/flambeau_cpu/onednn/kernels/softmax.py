"""Softmax and its logarithm, along the last dimension."""

from __future__ import annotations

from collections.abc import Callable
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


def _forward(algorithm: int) -> Callable[..., Any]:
    return lambda x, dim: _run(algorithm, (x,), dim)


def _backward(algorithm: int) -> Callable[..., Any]:
    return lambda grad, output, dim: _run(algorithm, (grad, output), dim)


for _name, _algorithm in (("softmax", _SOFTMAX), ("log_softmax", _LOG_SOFTMAX)):
    kernels.fresh_form(f"{_name}_along", at=16384)(_forward(_algorithm))
    kernels.fresh_form(f"{_name}_backward", at=16384)(_backward(_algorithm))
