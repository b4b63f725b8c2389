"""The gamma function's relatives, by SciPy's special functions where it is installed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.scipy_functions import register, special

kernels = KernelTable()


def _log_gamma(x: float) -> float:
    if x != x or x == -math.inf:
        return x if x != x else math.inf
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole, or too large
        return math.inf


_each = np.frompyfunc(_log_gamma, 1, 1)


def _lgamma(x: Any) -> Any:
    found = special()
    wide = x if x.dtype.itemsize > 2 else x.astype(np.float32)
    if found is None:
        values = np.asarray(_each(wide)).astype(wide.dtype)
    else:
        values = np.where(wide == -np.inf, np.inf, found.gammaln(wide))
    return np.asarray(values).astype(x.dtype, copy=False)


@kernels.register("lgamma", fresh=_lgamma)
def lgamma(out: Any, x: Any) -> None:
    """log |gamma(x)|."""
    out[...] = _lgamma(x)


register(kernels, {"igamma": "gammainc", "igammac": "gammaincc"})
