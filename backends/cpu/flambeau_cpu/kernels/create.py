"""Ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable, dtypes
from flambeau.backend import dtype as DType

kernels = KernelTable()


def _arange_fresh(shape: tuple[int], what: DType, start: Any, step: Any) -> Any:
    if what is not dtypes.int64:
        return NotImplemented
    return np.arange(start, start + shape[0] * step, step, dtype=np.int64)


@kernels.register("arange_steps", fresh=_arange_fresh)
def arange_steps(out: Any, start: Any, step: Any) -> None:
    """``start + i * step``, computed in float64 (or int64) as PyTorch does."""
    count = np.arange(out.size, dtype=np.int64)
    if out.dtype.kind not in "iu":
        count = count.astype(np.float64)
    out[...] = count * step + start
