"""The IDX format of MNIST: big-endian, a magic number, the sizes, the elements.

Bytes 0 and 1 are zero, byte 2 is the element type, byte 3 the number of dimensions; then one
32-bit size per dimension; then the elements in row-major order.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read_idx(path: str | Path) -> np.ndarray[Any, Any]:
    """The array in an IDX file, in the byte order of this machine.

    Raises:
        RuntimeError: the file is not IDX, or its length is not what its header says.
    """
    content = Path(path).read_bytes()
    try:
        zeros, code, ndim = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{ndim}I", content, 4)
        dtype = _DTYPES[code]
    except (struct.error, KeyError) as error:
        raise _not_idx(path, "its header is damaged") from error
    if zeros:
        raise _not_idx(path, "its header is damaged")
    start = 4 + 4 * ndim
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise _not_idx(
            path, f"for shape {shape} it should have {expected} bytes, not {len(content)}"
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))  # also makes it writable


def _not_idx(path: str | Path, why: str) -> RuntimeError:
    return RuntimeError(
        f"{path} is not a valid IDX file: {why}. Delete it and run again with download=True"
    )
