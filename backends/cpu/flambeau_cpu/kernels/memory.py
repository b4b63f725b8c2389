"""Copying and filling."""

from __future__ import annotations

import warnings
from math import copysign
from typing import Any

import numpy as np

from flambeau.backend import KernelTable
from flambeau.backend import dtype as DType
from flambeau_cpu import small_floats

kernels = KernelTable()


@kernels.register("copy")
def copy(out: Any, source: Any) -> None:
    """Copy with conversion; complex to real keeps the real part."""
    if out.dtype != source.dtype and (
            small_floats.is_small(out.dtype) or small_floats.is_small(source.dtype)):
        source = small_floats.widened(source)
        if small_floats.is_small(out.dtype):
            out[...] = small_floats.narrowed(source, out.dtype)
        else:
            copy(out, source)
        return
    if source.dtype.kind == "c" and out.dtype.kind != "c":
        source = source != 0 if out.dtype.kind == "b" else source.real
    if source.dtype.kind == "f" and out.dtype.kind in "iu":
        _float_to_integer(out, source)
        return
    np.copyto(out, source, casting="unsafe")


@kernels.register_fresh("to_copy")
def to_copy(x: Any, dtype: Any = None, device: Any = None, memory_format: Any = None) -> Any:
    """A row-major array in the same or another dtype, but for casts that NumPy does otherwise."""
    if device is not None or memory_format is not None or not x.flags.c_contiguous:
        return NotImplemented
    if dtype is None:
        return x.copy()
    what = dtype.numpy
    source = x.dtype.kind
    if small_floats.is_small(what) or small_floats.is_small(x.dtype):
        return NotImplemented
    return x.astype(what) if source in "biu" or (source == "f" and what.kind in "fc") else (
        NotImplemented)


def _float_to_integer(out: Any, source: Any) -> None:
    """Narrow types through int64, as C compilers do, so that values out of range wrap."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        np.copyto(out, source.astype(np.int64) if out.itemsize < 8 else source, casting="unsafe")


def _fill_fresh(shape: tuple[int, ...], what: DType, value: Any) -> Any:
    if value.__class__ is int and not value:
        return np.zeros(shape, what.numpy)
    if not value and (  # the C library gives zeroed memory for less than it costs to write
        copysign(1.0, value) > 0 if value.__class__ is float else
        value.__class__ is not complex
    ):
        return np.zeros(shape, what.numpy)
    result = np.empty(shape, what.numpy)
    result.fill(value)
    return result


@kernels.register("fill", fresh=_fill_fresh)
def fill(out: Any, value: Any) -> None:
    """Set every element."""
    out[...] = value
