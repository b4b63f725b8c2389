"""Rounding, and division with rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.elementwise import binary, is_real, override
from flambeau_cpu.kernels.pointwise import check_divisor

kernels = KernelTable()


def _floating_only(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(x: Any) -> Any:
        return ufunc(x) if is_real(x) else NotImplemented

    return kernel


def _checked(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    """A division that refuses integers over zero."""

    def divide(a: Any, b: Any) -> Any:
        check_divisor(a, b)
        return ufunc(a, b)

    return binary(divide, "iufV")


def _trunc_divide(a: Any, b: Any) -> Any:
    check_divisor(a, b)
    if is_real(a if hasattr(a, "dtype") else b):
        return np.trunc(np.true_divide(a, b))
    return np.floor_divide(a - np.fmod(a, b), b)


override(kernels, {
    "ceil": _floating_only(np.ceil), "trunc": _floating_only(np.trunc),
    "floor_divide": _checked(np.floor_divide), "fmod": _checked(np.fmod),
    "trunc_divide": binary(_trunc_divide, "iufV"),
})
