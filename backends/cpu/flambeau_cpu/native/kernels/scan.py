"""Running sums, products and extremes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.kernels.index import around, row_major
from flambeau_cpu.native.library import Library

kernels = NativeTable()
_LARGE: Final = 4096
_NAMES: Final = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64",
                 np.dtype(np.int64): "i64"}
_c = Library("scan", {
    **{f"fb_{op}_{t}": "Iaaiii" for op in ("sum", "prod") for t in ("f32", "f64", "i64")},
    **{f"fb_{op}_{t}": "aaaiii" for op in ("max", "min") for t in ("f32", "f64", "i64")},
    "fb_log_f32": "aaiii", "fb_log_f64": "aaiii",
})


def _function(op: str, x: Any, dim: int) -> Any:
    """The library's function for an array, or None."""
    name = _NAMES.get(x.dtype)
    if name is None or not row_major(x) or not x.size or not -x.ndim <= dim < x.ndim or (
            (c := _c()) is None):
        return None
    return getattr(c, f"fb_{op}_{name}", None)


def _extents(x: Any, dim: int) -> tuple[int, int, int]:
    outer, inner = around(x.shape, dim % x.ndim)
    return outer, x.shape[dim], inner


@kernels.out_form("cumsum", at=_LARGE)
def cumsum(out: Any, x: Any, dim: int) -> Any:
    """Running sum, single precision in double."""
    function = _function("sum", x, dim)
    if function is None or not row_major(out) or out.dtype != x.dtype:
        return NotImplemented
    return None if function(out, x, *_extents(x, dim)) else NotImplemented


@kernels.fresh_form("cumprod", at=_LARGE)
def cumprod(x: Any, dim: int, dtype: Any) -> Any:
    """Running product, single precision in double."""
    function = _function("prod", x, dim)
    if function is None or dtype is not None:
        return NotImplemented
    out = empty(x.shape, x.dtype)
    return out if function(out, x, *_extents(x, dim)) else NotImplemented


def _extreme(op: str, x: Any, dim: int) -> Any:
    function = _function(op, x, dim)
    if function is None:
        return NotImplemented
    values, indices = empty(x.shape, x.dtype), empty(x.shape, np.dtype(np.int64))
    function(values, indices, x, *_extents(x, dim))
    return values, indices


@kernels.fresh_form("cummax_along", at=_LARGE)
def cummax_along(x: Any, dim: int) -> Any:
    """Greatest values so far, and where they were last."""
    return _extreme("max", x, dim)


@kernels.fresh_form("cummin_along", at=_LARGE)
def cummin_along(x: Any, dim: int) -> Any:
    """Smallest values so far, and where they were last."""
    return _extreme("min", x, dim)


@kernels.fresh_form("logcumsumexp", at=_LARGE)
def logcumsumexp(x: Any, dim: int) -> Any:
    """Logarithm of the running sum of exponentials, in double precision."""
    function = _function("log", x, dim)
    if function is None:
        return NotImplemented
    out = empty(x.shape, x.dtype)
    function(out, x, *_extents(x, dim))
    return out
