"""Variances and means."""

from __future__ import annotations

from typing import Any, Final

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.reduce import plan
from flambeau_cpu.native.library import Library

kernels = NativeTable()
library = Library("moments", {"fb_moments": "Iaaaiid"})
ROWS: Final = {  # of the table in moments.c
    name: i for i, name in enumerate(("float32", "float64", "float16", "bfloat16"))}


@kernels.fresh_form("variance", at=4096)
def variance(x: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    """Variance and mean, computed in double precision; the mean keeps its dimensions."""
    which = ROWS.get(x.dtype.name, -1)
    if which < 0 or not x.ndim or not x.size or (c := library()) is None:
        return NotImplemented
    mask, shape = plan(x, dim, keepdim)
    out, mean = empty(shape, x.dtype), empty(plan(x, dim, True)[1], x.dtype)
    if c.fb_moments(x, out, mean, mask, which, correction):
        return out, mean
    return NotImplemented
