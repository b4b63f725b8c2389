"""Joining arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


@kernels.register_fresh("cat")
def cat(tensors: list[Any], dim: int = 0) -> Any:
    """Arrays of one number of dimensions whose common dtype is that of the first."""
    try:
        joined = np.concatenate(tensors, dim)
    except (TypeError, ValueError):  # no common dtype, or shapes that do not fit
        return NotImplemented
    if joined.dtype is not tensors[0].dtype:
        return NotImplemented
    return joined if joined.flags.c_contiguous else np.ascontiguousarray(joined)


@kernels.register_fresh("stack")
def stack(tensors: list[Any], dim: int = 0) -> Any:
    """Arrays of one shape: end to end, which in front of all dimensions is stacking."""
    first = tensors[0]
    shape, ndim = first.shape, first.ndim
    if any(t.shape != shape for t in tensors) or not -ndim - 1 <= dim <= ndim:
        return NotImplemented
    if not ndim:
        joined = np.array(tensors)
        return joined if joined.dtype is first.dtype else NotImplemented
    if dim != 0:
        insert = (*(slice(None),) * (dim % (ndim + 1)), None)
        return cat([t[insert] for t in tensors], dim % (ndim + 1))
    joined = cat(tensors)
    return joined if joined is NotImplemented else joined.reshape(len(tensors), *shape)
