"""The backend: devices, memory, copies and launches through pyopencl."""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Sequence
from typing import Any, ClassVar

from flambeau.backend import Capabilities, dtypes
from flambeau.backend.generated import GeneratedBackend, KernelSource, OpenCL, Traits
from flambeau_opencl.launch import Launch
from flambeau_opencl.memory import Statistics
from flambeau_opencl.platforms import selected_devices
from flambeau_opencl.queue import Queue


class OpenCLBackend(GeneratedBackend):
    """Every OpenCL device, each with a context, an in-order queue and a memory pool of its own."""

    name = "opencl"
    dialect: ClassVar[OpenCL] = OpenCL()

    def __init__(self) -> None:
        super().__init__()
        self._queues = [Queue(device) for device in selected_devices()]
        self._are_several = len(self._queues) > 1
        if hasattr(os, "register_at_fork"):
            # A weak reference: a hook cannot be taken back, and must not keep the devices.
            os.register_at_fork(after_in_child=functools.partial(_lose, weakref.ref(self)))

    def device_count(self) -> int:
        """The devices that were found or selected when the backend was loaded."""
        return len(self._queues)

    # ---- memory ------------------------------------------------------------------------------
    def alloc(self, nbytes: int, index: int) -> Any:
        """Memory from the device's pool; OpenCL aligns buffers for its widest vector type."""
        buffer = self._queues[index].memory.allocate(nbytes)
        if self._are_several:
            buffer.index = index  # asking OpenCL where it is takes longer than launching a kernel
        return buffer

    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None:
        """Write host bytes; a few of them without waiting for the queue."""
        self._queues[index].write(buffer, offset, data)

    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> memoryview:
        """Read host bytes behind all that was enqueued."""
        data = self._queues[index].read(buffer, offset, nbytes)
        self.check_flags(index)
        return data

    def copy_device(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int, index: int
    ) -> None:
        """Copy bytes; what overlaps is copied through memory of its own."""
        self._queues[index].copy(to, to_offset, source, source_offset, nbytes)

    def synchronize(self, index: int) -> None:
        """Wait for the queue."""
        self._queues[index].finish()
        self.check_flags(index)

    def empty_cache(self) -> None:
        """Give the memory that the pools hold back to the devices."""
        for queue in self._queues:
            queue.memory.empty()

    def memory_statistics(self, index: int = 0) -> Statistics:
        """What tensors use of a device's memory, and what its pool holds."""
        return self._queues[index].memory.statistics()

    def index_of(self, buffer: Any) -> int:
        """The device that a buffer is on."""
        return buffer.index if self._are_several else 0

    # ---- facts -------------------------------------------------------------------------------
    def capabilities(self, index: int) -> Capabilities:
        """All dtypes, without float64 and complex128 where the device has no double precision."""
        facts = self._queues[index].facts
        wide = {dtypes.float64, dtypes.complex128}
        return Capabilities(
            dtypes=frozenset(d for d in dtypes.ALL if facts.has_f64 or d not in wide),
            asynchronous=True, thread_safe=True, total_memory=facts.total_memory,
        )

    def device_info(self, index: int) -> dict[str, str]:
        """Name, kind, platform, driver, compute units."""
        return self._queues[index].facts.info()

    def traits(self, index: int) -> Traits:
        """A CPU's work items do best alone; a GPU's share their work through local memory."""
        return self._queues[index].traits

    # ---- kernels -----------------------------------------------------------------------------
    def compile(self, source: KernelSource, index: int) -> Launch:
        """Build a kernel, or take its binary from the disk cache."""
        return self._queues[index].compile(source)

    def launch(self, handle: Launch, groups: int, arguments: Sequence[Any], index: int) -> None:
        """Enqueue groups of work items; does not wait."""
        handle(groups, arguments)


def _lose(backend: weakref.ref[OpenCLBackend]) -> None:
    """Drivers do not survive a fork: let the child be told so instead of waiting for ever."""
    here = backend()
    if here is not None:
        for queue in here._queues:
            queue.lose()
