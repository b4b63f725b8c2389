"""The eight device methods."""

from __future__ import annotations

from typing import ClassVar

from flambeau.backend import Backend, Capabilities, KernelTable, OutOfMemoryError, dtypes
from flambeau_toy.kernels import kernels

MEMORY = 1 << 30
"""Bytes that one buffer may have: a small device, so that running out can be tested."""


class ToyBackend(Backend):
    """One device of host memory.  Kernels get :class:`flambeau.backend.Strided`."""

    name = "toy"
    kernels: ClassVar[KernelTable] = kernels
    _capabilities = Capabilities(
        dtypes=frozenset({
            dtypes.bool, dtypes.uint8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.float32,
            dtypes.float64,
        }),
        deterministic=True,
        thread_safe=True,
        fork_safe=True,
        total_memory=MEMORY,
    )

    def device_count(self) -> int:
        """One."""
        return 1

    def alloc(self, nbytes: int, index: int) -> bytearray:
        """Zeroed bytes."""
        if nbytes > MEMORY:
            raise OutOfMemoryError(f"toy: cannot allocate {nbytes} bytes of {MEMORY}")
        return bytearray(nbytes)

    def copy_in(self, buffer: bytearray, offset: int, data: memoryview, index: int) -> None:
        """Write bytes."""
        buffer[offset : offset + data.nbytes] = data.cast("B")

    def copy_out(self, buffer: bytearray, offset: int, nbytes: int, index: int) -> memoryview:
        """Read bytes."""
        return memoryview(buffer)[offset : offset + nbytes]

    def copy_device(
        self, to: bytearray, to_offset: int, source: bytearray, source_offset: int, nbytes: int,
        index: int,
    ) -> None:
        """Copy bytes."""
        to[to_offset : to_offset + nbytes] = source[source_offset : source_offset + nbytes]

    def synchronize(self, index: int) -> None:
        """Kernels are done when they return."""

    def capabilities(self, index: int) -> Capabilities:
        """Seven dtypes."""
        return self._capabilities

    def device_info(self, index: int) -> dict[str, str]:
        """A name."""
        return {"name": "toy device in host memory"}
