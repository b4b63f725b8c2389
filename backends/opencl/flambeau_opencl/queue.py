"""One device: its in-order queue, copies, kernels, and what must not happen after a fork."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
import pyopencl as cl

from flambeau.backend import BackendError
from flambeau.backend.generated import KernelSource
from flambeau_opencl.errors import is_out_of_memory, told, translated
from flambeau_opencl.facts import Facts
from flambeau_opencl.launch import Launch, PerThread, launcher
from flambeau_opencl.memory import Memory
from flambeau_opencl.platforms import name_of
from flambeau_opencl.program import build

_PATTERNS: Final = frozenset({1, 2, 4, 8, 16, 32, 64, 128})
"""Bytes that OpenCL can fill with in one command, keeping a copy of them itself."""

PROGRAMS_AT_MOST: Final = 512
"""A compiled program may hold megabytes (3 on Intel's runtime for CPUs); those loaded first are
dropped, and loaded again from the disk cache when they are needed."""


@dataclass(slots=True, eq=False)
class Loaded:
    """A kernel's program, while it is in memory, and what launches it."""

    program: Any = None
    own: PerThread | None = None

    def drop(self) -> None:
        """Free the program, unless other threads still have kernels of it."""
        self.program = None
        if self.own is not None:
            self.own.drop()


class Queue:
    """A device with its context, memory and queue.

    Commands run in the order in which they are enqueued, from whatever thread, so that a buffer
    may be reused as soon as nobody on the host holds it.

    Attributes:
        device, context, queue: of pyopencl.
        facts: what the device can do.
        traits: what of it the generator is told.
        memory: its buffers.
        name: the device's name, for errors.
    """

    def __init__(self, device: Any) -> None:
        self.device, self.name = device, name_of(device)
        with told(self.name, "creation of a context"):
            self.context = cl.Context([device])
            self.queue = cl.CommandQueue(self.context, device)
        self.facts = Facts.of(device)
        self.traits = self.facts.traits()
        self.memory = Memory.of(self.queue, self.name)
        self._kernels: list[PerThread] = []
        self._loaded: deque[Loaded] = deque()
        self._is_lost = False

    def write(self, buffer: Any, offset: int, data: memoryview) -> None:
        """Copy bytes from the host, which may change them as soon as this returns."""
        nbytes = data.nbytes
        if not nbytes:
            return
        self.check()
        with told(self.name, f"copy of {nbytes} bytes to the device"):
            if nbytes in _PATTERNS and offset % nbytes == 0:
                cl.enqueue_fill_buffer(self.queue, buffer, bytes(data), offset, nbytes)
            else:
                source = np.frombuffer(data, np.uint8)
                cl.enqueue_copy(self.queue, buffer, source, dst_offset=offset, is_blocking=True)

    def read(self, buffer: Any, offset: int, nbytes: int) -> memoryview:
        """Bytes of a buffer, after everything that was enqueued before."""
        self.check()
        host = np.empty(nbytes, np.uint8)
        if nbytes:
            with told(self.name, f"copy of {nbytes} bytes to the host"):
                cl.enqueue_copy(self.queue, host, buffer, src_offset=offset, is_blocking=True)
        return host.data

    def copy(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int
    ) -> None:
        """Copy bytes between buffers of the device."""
        if not nbytes:
            return
        self.check()
        if to is source and abs(to_offset - source_offset) < nbytes:  # OpenCL refuses overlaps
            between = self.memory.allocate(nbytes)
            self.copy(between, 0, source, source_offset, nbytes)
            source, source_offset = between, 0
        with told(self.name, f"copy of {nbytes} bytes on the device"):
            cl.enqueue_copy(
                self.queue, to, source, byte_count=nbytes, src_offset=source_offset,
                dst_offset=to_offset)

    def finish(self) -> None:
        """Wait until everything enqueued is done.

        Raises:
            BackendError: for what went wrong in it, as far as the driver says so.
        """
        self.check()
        with told(self.name, "execution of earlier commands"):
            self.queue.finish()

    # ---- kernels -----------------------------------------------------------------------------
    def compile(self, source: KernelSource) -> Launch:
        """The function that launches a kernel.

        Raises:
            BackendError: if the driver does not compile it, or the device cannot run it.
        """
        self.check()
        name, size = source.name, source.group_size
        loaded = Loaded()

        def kernel() -> Any:
            self.check()  # a thread of a forked child comes here, too
            program = loaded.program or self._load(source, loaded)
            with told(self.name, f"creation of the kernel {name!r}"):
                return cl.Kernel(program, name)

        own = loaded.own = PerThread(kernel)
        self._check_group_size(own.parts[0], name, size)
        self._kernels.append(own)
        return launcher(
            own, source.parameters, self.queue, size,
            lambda error, again: self._recover(error, again, f"launch of the kernel {name!r}"))

    def _load(self, source: KernelSource, loaded: Loaded) -> Any:
        """Compile a program or take it from the disk cache, in the place of the oldest one."""
        loaded.program = program = build(
            self.context, self.device, source.name, source.text, self.facts.options,
            self.facts.identity)
        self._loaded.append(loaded)
        if len(self._loaded) > PROGRAMS_AT_MOST:
            self._loaded.popleft().drop()
        return program

    def _recover(self, error: Any, again: Callable[[], Any], action: str) -> None:
        """Try a second time with an empty pool, if memory is short.

        Some drivers only find memory for a buffer when a kernel uses it.
        """
        if not is_out_of_memory(error):
            raise translated(error, self.name, action) from error
        self.memory.free()
        with told(self.name, action):
            again()

    def _check_group_size(self, kernel: Any, name: str, size: int) -> None:
        most = kernel.get_work_group_info(
            cl.kernel_work_group_info.WORK_GROUP_SIZE, self.device)
        if size > most:
            raise BackendError(
                f"opencl: the kernel {name!r} wants groups of {size} work items, and {self.name} "
                f"runs at most {most} of it at once"
            )

    # ---- forks -------------------------------------------------------------------------------
    def lose(self) -> None:
        """Make every use an error: this is a forked child, and drivers do not survive a fork."""
        self._is_lost = True
        for own in self._kernels:
            own.replace(_refuse)

    def check(self) -> None:
        """Raise if this is a forked child.

        Raises:
            BackendError: then.
        """
        if self._is_lost:
            _refuse()


def _refuse(*_: object) -> NoReturn:
    raise BackendError(
        "opencl: a forked process cannot use the OpenCL devices of its parent. Start workers with "
        "the method 'spawn' (DataLoader: multiprocessing_context='spawn'), or move what they need "
        'to the CPU first, x.to("cpu").'
    )
