"""Sums along the last dimension, with less overhead than NumPy's reductions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_LONGEST: Final = 1024
_ones: Final[dict[tuple[Any, int], Any]] = {}
_add: Any = np.add.reduce


def sum_along(x: Any, dim: int) -> Any:
    """The sum along a dimension, which is kept as 1.

    Short rows of a matrix are multiplied by a vector of ones: a third of a reduction's overhead,
    and BLAS beyond it.  Long ones are summed pairwise, for accuracy.
    """
    if x.ndim == 2 and dim in (1, -1) and x.shape[1] <= _LONGEST and x.dtype.char in "fd":
        key = (x.dtype, x.shape[1])
        ones = _ones.get(key)
        if ones is None:
            ones = _ones[key] = np.ones(x.shape[1], x.dtype)
        return x.dot(ones)[:, None]
    return _add(x, dim, None, None, True)
