"""The device methods over a library of arrays that are never changed."""

from __future__ import annotations

from typing import Any, ClassVar

from flambeau.backend import Backend, Layout, OutOfMemoryError, dtype
from flambeau.backend.functional.memory import Buffer, View
from flambeau.backend.functional.table import FunctionTable


class FunctionalBackend(Backend):
    """A backend whose array library only returns new arrays, such as MLX or JAX.

    The author gives ``name``, ``kernels`` and the three methods that tell about the device:
    ``device_count``, ``capabilities`` and ``device_info``.
    """

    kernels: ClassVar[FunctionTable]

    def alloc(self, nbytes: int, index: int) -> Buffer:
        """A buffer; its elements take up memory when the first kernel writes to it."""
        total = self.capabilities(index).total_memory
        if total is not None and nbytes > total:
            raise OutOfMemoryError(
                f"{self.name}: cannot allocate {nbytes} bytes; the device has {total}")
        return Buffer(self.kernels.runtime, nbytes, index)

    def copy_in(self, buffer: Buffer, offset: int, data: memoryview, index: int) -> None:
        """Keep bytes for the first kernel that reads them, which knows their dtype."""
        if data.nbytes:
            buffer.from_bytes(offset, data)

    def copy_out(self, buffer: Buffer, offset: int, nbytes: int, index: int) -> memoryview:
        """Compute and read bytes; what kernels left to be checked is checked."""
        data: Any = buffer.to_bytes(offset, nbytes)
        self.kernels.runtime.settle()
        return memoryview(data)

    def copy_device(
        self, to: Buffer, to_offset: int, source: Buffer, source_offset: int, nbytes: int,
        index: int,
    ) -> None:
        """Copy bytes; a whole buffer is copied by sharing its array."""
        if nbytes:
            to.copy_from(to_offset, source, source_offset, nbytes)

    def synchronize(self, index: int) -> None:
        """Compute everything, wait for it, make the checks that were put off."""
        self.kernels.runtime.synchronize()

    def native(self, buffer: Buffer, what: dtype, layout: Layout) -> View:
        """A view, which reads the buffer's array of the moment."""
        return View(buffer, what, layout)

    def adopt(self, native: View) -> tuple[View, Buffer, int, Layout]:
        """The buffer that a kernel's result was wrapped in."""
        return native, native.buffer, native.buffer.nbytes, native.layout
