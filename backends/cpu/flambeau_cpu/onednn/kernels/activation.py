"""Activation functions, both ways.

Not ``exp``, ``tanh`` and ``relu``, which NumPy is as quick at.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from flambeau_cpu.onednn.choice import is_single, table
from flambeau_cpu.onednn.library import api
from flambeau_cpu.onednn.primitive import DIFF_DST, DIFF_SRC, DST, SRC, Builder, Form, Primitive
from flambeau_cpu.onednn.rows import Cut, cut, empty_like, is_dense, run_checked

kernels = table()
_TRAINING: Final = 64
_RELU, _LOGISTIC, _GELU_TANH, _SWISH, _GELU_ERF = 0x20, 0x29, 0x2B, 0x2C, 0x31
_LOGISTIC_FROM_RESULT: Final = 0x104
_GELU: Final = {"none": _GELU_ERF, "tanh": _GELU_TANH}
_COST: Final = 0.5e-3  # microseconds for an element
_UNIT: Final = 1024


@lru_cache(maxsize=512)
def _plan(algorithm: int, size: int, backward: bool) -> Cut | None:
    slope = 1.0 if algorithm == _SWISH else 0.0

    def make(b: Builder, count: int) -> Primitive:
        form = Form.dense((count,))
        forward = b.describe("eltwise_forward", _TRAINING, algorithm, form, form, slope, 0.0)
        if not backward:
            return Primitive(forward, SRC, DST)
        place = DST if algorithm == _LOGISTIC_FROM_RESULT else SRC
        return Primitive(b.describe(
            "eltwise_backward", algorithm, form, form, form, slope, 0.0, forward),
            DIFF_DST, place, DIFF_SRC)

    return cut(size, size * _COST, make, _UNIT)


def _run(algorithm: int | None, arrays: tuple[Any, ...], checked: int = -1) -> Any:
    """The result, unless ``checked`` (of the arrays and the result) holds NaN."""
    x = arrays[-1]
    if algorithm is None or not is_single(*arrays) or api() is None or not is_dense(x) or any(
        a.strides != x.strides or a.shape != x.shape for a in arrays):
        return NotImplemented
    plan = _plan(algorithm, x.size, len(arrays) == 2)
    if plan is None:
        return NotImplemented
    given = (*arrays, empty_like(x))
    return given[-1] if run_checked(plan, given, 1, given[checked]) else NotImplemented


@kernels.fresh_form("gelu", at=8192)
def gelu(x: Any, approximate: str = "none") -> Any:
    """With the error function, or the fit by tanh."""
    return _run(_GELU.get(approximate), (x,))


@kernels.fresh_form("gelu_backward", at=8192)
def gelu_backward(grad: Any, x: Any, approximate: str) -> Any:
    """The same two."""
    return _run(_GELU.get(approximate), (grad, x))


@kernels.fresh_form("silu", at=32768)
def silu(x: Any) -> Any:
    """Swish with slope 1."""
    return _run(_SWISH, (x,))


@kernels.fresh_form("silu_backward", at=32768)
def silu_backward(grad: Any, x: Any) -> Any:
    """From the input."""
    return _run(_SWISH, (grad, x))


@kernels.fresh_form("sigmoid", at=32768)
def sigmoid(x: Any) -> Any:
    """The logistic function."""
    return _run(_LOGISTIC, (x,))


@kernels.fresh_form("sigmoid_backward", at=32768)
def sigmoid_backward(grad: Any, output: Any) -> Any:
    """From the result."""
    return _run(_LOGISTIC_FROM_RESULT, (grad, output))


@kernels.fresh_form("threshold_backward", at=32768)
def threshold_backward(grad: Any, tested: Any, threshold: Any) -> Any:
    """Of relu; NaN among the tested ones lets the gradient pass, which oneDNN does not know."""
    return _run(None if threshold else _RELU, (grad, tested), 1)
