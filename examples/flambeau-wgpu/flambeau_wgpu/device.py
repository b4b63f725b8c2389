"""The backend: device methods and launches through wgpu-py."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import wgpu

from flambeau.backend import BackendError, Capabilities, dtypes
from flambeau.backend.generated import GeneratedBackend, KernelSource, Traits
from flambeau_wgpu.adapters import opened, selected
from flambeau_wgpu.dialect import Wgsl
from flambeau_wgpu.queue import Memory, Program, Queue

GROUP: Final = 64
"""Work items in a group."""
VECTOR: Final = 8
"""Numbers in a vector of a CPU, roughly."""


class WgpuBackend(GeneratedBackend):
    """Every adapter of WebGPU, opened when it is first used."""

    name = "wgpu"
    dialect = Wgsl()
    _capabilities = Capabilities(
        dtypes=frozenset({
            dtypes.bool, dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64,
            dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.complex64}),
        asynchronous=True, thread_safe=True)

    def __init__(self) -> None:
        super().__init__()
        self._adapters = selected()
        self._queues: dict[int, Queue] = {}
        self._process = os.getpid()

    def queue(self, index: int) -> Queue:
        """The device of an adapter.

        Raises:
            BackendError: in a forked child, where drivers' threads are gone and calls would hang.
        """
        if os.getpid() != self._process:
            raise BackendError(
                "wgpu: devices do not survive a fork; start processes by the method 'spawn'")
        found = self._queues.get(index)
        if found is None:
            found = self._queues[index] = Queue(opened(self._adapters[index]), index)
        return found

    # ---- facts -------------------------------------------------------------------------------
    def device_count(self) -> int:
        """The adapters that were found when the backend was loaded."""
        return len(self._adapters)

    def traits(self, index: int) -> Traits:
        """Items share their work through local memory; on a CPU as many as one vector holds.

        One alone (``lanes=1``) would keep long arrays of its own, as a C compiler likes them;
        the compilers of shaders take minutes for these.
        """
        adapter = self._adapters[index]
        return Traits(
            group_size=GROUP, lanes=VECTOR if adapter.info["adapter_type"] == "CPU" else GROUP,
            buffers=adapter.limits["max-storage-buffers-per-shader-stage"],
            local_memory=adapter.limits["max-compute-workgroup-storage-size"], has_f64=False)

    def capabilities(self, index: int) -> Capabilities:
        """All dtypes without double precision, which WGSL has not."""
        return self._capabilities

    def device_info(self, index: int) -> dict[str, str]:
        """The adapter, its driver, and the library."""
        info = self._adapters[index].info
        return {"name": f"{info['device']} ({info['backend_type']})",
                "driver": info["description"], "library": f"wgpu {wgpu.__version__}"}

    # ---- memory ------------------------------------------------------------------------------
    def alloc(self, nbytes: int, index: int) -> Memory:
        """A buffer of whole words."""
        return self.queue(index).allocate(nbytes)

    def copy_in(self, buffer: Memory, offset: int, data: memoryview, index: int) -> None:
        """Write bytes."""
        self.queue(index).write(buffer, offset, data.cast("B"))

    def copy_out(self, buffer: Memory, offset: int, nbytes: int, index: int) -> memoryview:
        """Read bytes behind all that was launched; raise what kernels found wrong."""
        data = self.queue(index).read(buffer, offset, nbytes)
        self.check_flags(index)
        return data

    def copy_device(
        self, to: Memory, to_offset: int, source: Memory, source_offset: int, nbytes: int,
        index: int,
    ) -> None:
        """Copy bytes."""
        self.queue(index).copy(to, to_offset, source, source_offset, nbytes)

    def synchronize(self, index: int) -> None:
        """Wait for the queue; raise what kernels found wrong."""
        self.queue(index).finish()
        self.check_flags(index)

    def index_of(self, buffer: Memory) -> int:
        """The device that a buffer is on."""
        return buffer.index

    # ---- kernels -----------------------------------------------------------------------------
    def compile(self, source: KernelSource, index: int) -> Program:
        """Build a pipeline."""
        if "kernels" in os.environ.get("FLAMBEAU_DEBUG", "").split(","):
            print(f"// kernel {source.name}\n{source.text}", file=sys.stderr)
        return self.queue(index).compile(source)

    def launch(self, handle: Program, groups: int, arguments: Sequence[Any], index: int) -> None:
        """Take it down; it runs with those that follow, when a result is read at the latest."""
        self.queue(index).launch(handle, groups, arguments)
