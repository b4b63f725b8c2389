"""Functions of many passes, run on pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

BLOCK: Final = 8192
"""Elements: a few temporary arrays of this size, in double precision, fit into an L2 cache."""


def in_blocks(function: Callable[..., None], *arrays: Any, out: Any = None) -> Any:
    """Call ``function(*pieces, piece of out)`` for all of some arrays of one shape.

    Args:
        out: array for the result; a new one like the first array, in row-major order, if None.
    """
    first = arrays[0]
    flat = [np.ascontiguousarray(x).reshape(-1) for x in arrays]
    direct = out is None or out.flags.c_contiguous
    result = np.empty(first.shape, first.dtype) if out is None or not direct else out
    target = result.reshape(-1)
    for start in range(0, first.size, BLOCK):
        stop = start + BLOCK
        function(*(x[start:stop] for x in flat), target[start:stop])
    if not direct:
        out[...] = result
        return out
    return result
