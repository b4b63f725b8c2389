"""Memory that is a file."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from flambeau import dtypes
from flambeau.construct import from_numpy
from flambeau.dtypes import dtype as DType
from flambeau.storage import Storage
from flambeau.storages.memory import SharedMap, elements
from flambeau.tensor import Tensor


def map_file(filename: Any, shared: bool, nbytes: int) -> Storage:
    """The first bytes of a file as memory.

    Args:
        shared: writes go to the file, which is created or grown if need be; else they are private.
        nbytes: how many; 0 for all there are.

    Raises:
        RuntimeError: if the file has fewer bytes and is not shared.
    """
    path = os.fspath(filename)
    flags = os.O_RDWR | os.O_CREAT if shared else os.O_RDONLY
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    try:
        held = os.fstat(handle).st_size
        if nbytes > held:
            if not shared:
                raise RuntimeError(
                    f"unable to map {nbytes} bytes of file <{path}>: it has {held}")
            os.ftruncate(handle, nbytes)
        length = nbytes or held
        if not length:
            return from_numpy(np.empty(0, np.uint8)).storage_()
        access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
        mapped = (SharedMap if shared else mmap.mmap)(handle, length, access=access)
    finally:
        os.close(handle)
    return from_numpy(np.frombuffer(mapped, np.uint8)).storage_()


def from_file(
    filename: Any, shared: bool | None = None, size: int | None = 0, *,
    dtype: DType | None = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A vector over the memory of a file.

    Args:
        shared: writes change the file, which is created or grown if need be.
        size: number of elements.

    Raises:
        RuntimeError: if the file is too short and not shared.
    """
    what = dtypes.get_default_dtype() if dtype is None else dtype
    count = size or 0
    result = elements(map_file(filename, bool(shared), count * what.itemsize), what)[:count]
    if device is not None:
        result = result.to(device)
    return result.requires_grad_() if requires_grad else result
