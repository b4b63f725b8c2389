"""Memory of one device: pooled, bounded, counted.

pyopencl's memory pool keeps freed buffers by size class and gives them out again.  A buffer goes
back when Python collects it, while kernels that use it may still run: its next user stands behind
them in the same in-order queue.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any, Final

import pyopencl as cl
from pyopencl.tools import ImmediateAllocator, MemoryPool

from flambeau.backend import OutOfMemoryError
from flambeau_opencl.errors import is_out_of_memory, translated

_LARGE: Final = 1 << 20
"""Bytes from which an allocation checks how much the pool holds."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Bytes and buffers of a pool; sizes are those of its size classes."""

    used_bytes: int
    used_buffers: int
    held_bytes: int
    """Freed by tensors and kept for the next ones."""
    held_buffers: int


class Memory:
    """The buffers of one device.

    Args:
        name: the device's name, for errors.
        pool: a ``pyopencl.tools.MemoryPool``.
        total: bytes of the device.
        bound: bytes that the pool may hold for later.
    """

    def __init__(self, name: str, pool: Any, total: int, bound: int) -> None:
        self._name, self._pool, self._total, self._bound = name, pool, total, bound
        self._allocate = pool.allocate

    @staticmethod
    def of(queue: Any, name: str) -> Memory:
        """The memory of a queue's device.

        A CPU's memory is everybody's: at most a quarter of it is held.
        """
        device = queue.device
        total = device.global_mem_size
        bound = total // 4 if device.type & cl.device_type.CPU else total
        return Memory(name, MemoryPool(ImmediateAllocator(queue)), total, bound)

    def allocate(self, nbytes: int) -> Any:
        """A buffer of at least so many bytes, uninitialised.

        OpenCL has no empty buffers: one byte stands for none.

        Raises:
            OutOfMemoryError: if there is not enough even without what the pool holds.
        """
        if nbytes > _LARGE:
            self._make_room(nbytes)
        try:
            return self._allocate(nbytes or 1)
        except cl.Error as error:
            if not is_out_of_memory(error):
                raise translated(error, self._name, f"allocation of {nbytes} bytes") from error
        self.free()
        try:
            return self._allocate(nbytes)
        except cl.Error as error:
            raise self._out_of_memory(nbytes, f"was emptied ({error})") from error

    def _make_room(self, nbytes: int) -> None:
        """Keep the pool within its bound, and all buffers within the device.

        Drivers of CPUs promise more memory than there is, and the process is killed when it uses
        what it was promised.
        """
        pool = self._pool
        if self._held() > self._bound or pool.managed_bytes + nbytes > self._total:
            pool.free_held()
        if pool.active_bytes + nbytes > self._total:
            self.free()
            if pool.active_bytes + nbytes > self._total:
                raise self._out_of_memory(nbytes, "was emptied")


    def empty(self) -> None:
        """Give what the pool holds back to the device."""
        self._pool.free_held()

    def free(self) -> None:
        """Find memory: that of tensors in cycles, too, which nobody uses any more."""
        gc.collect()
        self._pool.free_held()

    def statistics(self) -> Statistics:
        """What is used and what is held."""
        pool = self._pool
        return Statistics(
            pool.active_bytes, pool.active_blocks, self._held(), pool.held_blocks)

    def _held(self) -> int:
        held: int = self._pool.managed_bytes - self._pool.active_bytes
        return held

    def _out_of_memory(self, nbytes: int, fate: str) -> OutOfMemoryError:
        used = self._pool.active_bytes
        return OutOfMemoryError(
            f"opencl: cannot allocate {_human(nbytes)} on {self._name}: tensors use {_human(used)} "
            f"of its {_human(self._total)}, and the pool {fate}. Use smaller batches, "
            "free tensors (del x), or compute without gradients where none are needed "
            "(flambeau.no_grad())."
        )


def _human(nbytes: int) -> str:
    """Bytes in a unit that people read, with the exact number where it is short."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.2f} {name}"
    return f"{nbytes} bytes"
