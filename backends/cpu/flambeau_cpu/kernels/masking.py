"""Elements chosen by a mask.  What does not fit is declined: the decomposition has the words."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau_cpu.kernels.index_dim import on_a_copy

kernels = KernelTable()


def _masked_fill_fresh(x: Any, mask: Any, value: Any) -> Any:
    if mask.dtype.char != "?" or not _fits(value, x) or (
            x.shape != mask.shape and not _inside(mask, x)):
        return NotImplemented
    out = np.array(x, order="C")  # of a 0-d tensor x may be a NumPy scalar
    np.copyto(out, np.asarray(value).astype(x.dtype), where=mask)
    return out


@kernels.register("masked_fill", fresh=_masked_fill_fresh)
def masked_fill(out: Any, x: Any, mask: Any, value: Any) -> Any:
    """A number where the mask holds."""
    if mask.dtype.char != "?" or not _fits(value, x) or not _inside(mask, x):
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    if value.__class__ is not float or x.dtype.kind not in "fc":
        value = np.asarray(value).astype(x.dtype)  # integers wrap around
    np.copyto(out, value, where=mask)
    return None


def _fits(value: Any, x: Any) -> bool:
    """Whether a value is one number that an array can hold."""
    if value.__class__ is float:
        return True
    return not np.ndim(value) and (x.dtype.kind == "c" or not np.iscomplexobj(value))


def _inside(mask: Any, x: Any) -> bool:
    """Whether a mask broadcasts to the shape of an array."""
    if mask.shape == x.shape:
        return True
    lead = x.ndim - mask.ndim
    return lead >= 0 and all(
        n in (1, m) for n, m in zip(mask.shape, x.shape[lead:], strict=True))


@kernels.register_fresh("masked_select")
def masked_select(x: Any, mask: Any) -> Any:
    """The elements where the mask holds."""
    if mask.dtype.char != "?":
        return NotImplemented
    if x.shape != mask.shape:
        try:
            x, mask = np.broadcast_arrays(x, mask)
        except ValueError:
            return NotImplemented
    return x[mask]


def _masked_scatter(out: Any, x: Any, mask: Any, source: Any) -> Any:
    if mask.dtype.char != "?" or not _inside(mask, x) or source.dtype != x.dtype:
        return NotImplemented
    whole = np.broadcast_to(mask, x.shape)
    count = np.count_nonzero(whole)
    if count > source.size:
        return NotImplemented
    if out is not x:
        np.copyto(out, x)
    out[whole] = source.reshape(-1)[:count]
    return None


kernels.register("masked_scatter", fresh=on_a_copy(_masked_scatter))(_masked_scatter)
