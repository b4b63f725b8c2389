"""What storages of both kinds do with the memory behind them, through tensors over it."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from flambeau import dtypes
from flambeau.device import CPU
from flambeau.dtypes import dtype as DType
from flambeau.kind import kind_of
from flambeau.layout import Layout
from flambeau.storage import Storage
from flambeau.tensor import Tensor, from_storage


class SharedMap(mmap.mmap):
    """A mapping that forked processes, or all that map the file, write to together."""


def allocate(nbytes: int, where: Any = CPU) -> Storage:
    """New memory, uninitialised, on a device.

    Raises:
        RuntimeError: for a negative size, or a device that is not there.
    """
    if nbytes < 0:
        raise RuntimeError(f"a storage cannot have {nbytes} bytes")
    kind = kind_of(where, dtypes.uint8)
    return Storage.allocate(kind.device, kind.backend, nbytes)


def elements(storage: Storage, what: DType) -> Tensor:
    """A vector over all memory of a storage, as far as it fills whole elements."""
    count = storage.nbytes // what.itemsize
    return from_storage(kind_of(storage.device, what), storage, Layout.contiguous((count,)))


def address(storage: Storage) -> int:
    """The address of a buffer, where it is an array of a library that tells it; else its id."""
    if not storage.nbytes:
        return 0
    if hasattr(storage.buffer, "ctypes"):
        return int(storage.buffer.ctypes.data)
    data = getattr(storage.buffer, "data", None)
    return int(getattr(data, "ptr", id(storage.buffer)))


def host_bytes(storage: Storage) -> Any:
    """The bytes on the host: a view of them on the CPU, a copy from elsewhere."""
    s = storage
    if not s.nbytes:
        return b""
    return s.backend.copy_out(s.buffer, 0, s.nbytes, s.device.index or 0)


def resize(storage: Storage, nbytes: int) -> None:
    """Give a storage another size, in place; what fits is kept.

    Tensors that were read from before keep the memory that they know; ``set_`` gives them the new.
    """
    grown = allocate(nbytes, storage.device)
    kept = min(nbytes, storage.nbytes)
    if kept:
        storage.backend.copy_device(
            grown.buffer, 0, storage.buffer, 0, kept, storage.device.index or 0)
    storage.buffer, storage.nbytes = grown.buffer, nbytes
    storage.version += 1


def is_shared(storage: Storage) -> bool:
    """Whether forked processes see each other's writes."""
    memory: Any = storage.buffer
    while isinstance(memory, (np.ndarray, memoryview)):
        memory = memory.base if isinstance(memory, np.ndarray) else memory.obj
    return storage.device.type != "cpu" or isinstance(memory, SharedMap)


def share(storage: Storage) -> None:
    """Move the bytes to memory that forked processes share; nothing on other devices."""
    if is_shared(storage) or not storage.nbytes:
        return
    shared = np.frombuffer(SharedMap(-1, storage.nbytes), np.uint8)
    shared[:] = np.frombuffer(host_bytes(storage), np.uint8)
    storage.buffer = shared
