"""Dropout's masks applied."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


@kernels.register_fresh("masked_scale")
def masked_scale(x: Any, mask: Any, *, scale: float) -> Any:
    """``x`` times the mask times the scale, the factors in the dtype of ``x``."""
    if x.dtype.kind not in "fV":
        return NotImplemented
    factors = np.multiply(mask, np.array(scale, x.dtype))
    same = x.ndim and factors.shape == x.shape and factors.strides == x.strides
    return np.multiply(x, factors, out=factors if same else None)
