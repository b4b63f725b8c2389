"""Elementwise arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


def _out_form(ufunc: Callable[..., Any]) -> Callable[..., None]:
    if getattr(ufunc, "nin", 0) == 2:

        def binary(out: Any, a: Any, b: Any) -> None:
            if out.size == 1:  # NumPy takes one element for an overlap and copies: 0.8 us
                out[...] = ufunc(a, b)
            else:
                ufunc(a, b, out)

        return binary

    def kernel(out: Any, *inputs: Any) -> None:
        ufunc(*inputs, out)

    return kernel


def register(table: KernelTable, name: str, ufunc: Callable[..., Any]) -> None:
    """A ufunc as the kernel of an op: called with ``out`` last, or without it."""
    table.register(name, fresh=ufunc)(_out_form(ufunc))


for _name, _ufunc in {
    "neg": np.negative, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin,
    "cos": np.cos, "tanh": np.tanh, "log1p": np.log1p, "expm1": np.expm1, "floor": np.floor,
    "round_half_even": np.rint, "add": np.add, "sub": np.subtract, "mul": np.multiply,
    "true_divide": np.true_divide, "pow": np.power, "maximum": np.maximum,
    "minimum": np.minimum, "remainder": np.remainder, "atan2": np.arctan2, "sign": np.sign,
    "abs": np.absolute,
}.items():
    register(kernels, _name, _ufunc)

_erf = np.frompyfunc(math.erf, 1, 1)


def _erf_array(x: Any, out: Any = None) -> Any:
    result = np.asarray(_erf(np.asarray(x, np.float64)), np.float64)
    if out is None:
        return result.astype(x.dtype)
    out[...] = result
    return out


register(kernels, "erf", _erf_array)
