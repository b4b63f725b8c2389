"""Array types of this package, sizes, and the pieces in which large arrays are filled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
U32: TypeAlias = npt.NDArray[np.uint32]
U64: TypeAlias = npt.NDArray[np.uint64]
I64: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = int | Sequence[int]

# Elements drawn and transformed at a time: temporaries stay in the second-level cache, and what
# a NumPy call costs is spread over many.  A multiple of 16, the block of the normal transform.
CHUNK: Final = 32768


def count(shape: Shape) -> int:
    """Number of elements of a shape."""
    return shape if isinstance(shape, int) else math.prod(shape)


def chunks(n: int) -> Iterator[slice]:
    """Consecutive slices that cover ``range(n)``."""
    return (slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK))
