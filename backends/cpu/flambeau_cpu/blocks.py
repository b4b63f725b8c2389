"""Functions of many passes, run on pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

BLOCK: Final = 8192
"""Elements: a few temporary arrays of this size, in double precision, fit into an L2 cache."""


def in_blocks(function: Callable[[Any, Any], None], x: Any, out: Any = None) -> Any:
    """Call ``function(piece of x, piece of out)`` for all of an array.

    Args:
        out: array for the result; a new one of the dtype of x, in row-major order, if None.
    """
    flat = np.ascontiguousarray(x).reshape(-1)
    direct = out is None or out.flags.c_contiguous
    result = np.empty(x.shape, x.dtype) if out is None or not direct else out
    target = result.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        function(flat[start : start + BLOCK], target[start : start + BLOCK])
    if not direct:
        out[...] = result
        return out
    return result
