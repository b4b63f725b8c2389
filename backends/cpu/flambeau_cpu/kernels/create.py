"""Ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


@kernels.register("arange_steps")
def arange_steps(out: Any, start: Any, step: Any) -> None:
    """``start + i * step``, computed in float64 (or int64) as PyTorch does."""
    count = np.arange(out.size, dtype=np.int64)
    if out.dtype.kind not in "iu":
        count = count.astype(np.float64)
    out[...] = count * step + start
