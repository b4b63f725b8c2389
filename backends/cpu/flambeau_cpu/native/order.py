"""Arrays as kernels in C want them: dense, and the order of their dimensions in memory."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty

CODES: Final = {"f": 0, "d": 1, "e": 2, "E": 3}
"""Of the floating dtypes in ``half.h``, by NumPy's (and ml_dtypes') characters."""


def dense(x: Any) -> Any:
    """The array itself if it is row-major, else a row-major copy; an array of a NumPy scalar."""
    if x.flags.c_contiguous:
        return x if x.ndim else np.asarray(x)
    result = empty(x.shape, x.dtype)
    np.copyto(result, x)
    return result


def memory_axes(x: Any) -> tuple[int, ...] | None:
    """The dimensions in the order in which they lie in memory; None if the array has gaps."""
    strides = x.strides
    axes = tuple(sorted(range(x.ndim), key=lambda d: (-strides[d], d)))
    return axes if x.transpose(axes).flags.c_contiguous else None


def is_last(x: Any) -> bool:
    """Whether the channels of (N, C, *) are innermost in memory, as in no row-major array."""
    return not x.flags.c_contiguous and x.ndim > 2 and bool(
        np.moveaxis(x, 1, -1).flags.c_contiguous)


def placed(x: Any, last: bool) -> Any:
    """(N, C, *) as a dense array, or as a dense (N, *, C) with channels ``last``."""
    return dense(np.moveaxis(x, 1, -1) if last else x)


def new(shape: tuple[int, ...], what: Any, last: bool) -> Any:
    """An uninitialised (N, C, *), or (N, *, C) with channels ``last``."""
    return empty((shape[0], *shape[2:], shape[1]) if last else shape, what)
