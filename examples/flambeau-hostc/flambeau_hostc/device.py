"""The device methods, and a launcher."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from flambeau.backend import Capabilities, OutOfMemoryError, dtypes
from flambeau.backend.generated import C, GeneratedBackend, KernelSource, Traits
from flambeau_hostc.compiler import build, find_compiler

TYPES = {
    "bool": ctypes.c_bool, "i8": ctypes.c_int8, "u8": ctypes.c_uint8, "i16": ctypes.c_int16,
    "u16": ctypes.c_uint16, "i32": ctypes.c_int32, "u32": ctypes.c_uint32, "i64": ctypes.c_int64,
    "u64": ctypes.c_uint64, "f32": ctypes.c_float, "f64": ctypes.c_double,
}


class HostC(GeneratedBackend):
    """One device: host memory, one thread, kernels in C."""

    name = "hostc"
    dialect = C()
    _capabilities = Capabilities(
        dtypes=frozenset({
            dtypes.bool, dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64,
            dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64, dtypes.complex64,
            dtypes.complex128,
        }),
        deterministic=True,
        thread_safe=True,
        fork_safe=True,
    )

    def device_count(self) -> int:
        """One, if there is a compiler."""
        return 1 if find_compiler() else 0

    def traits(self, index: int) -> Traits:
        """Every item alone."""
        return Traits(group_size=1)

    def capabilities(self, index: int) -> Capabilities:
        """All dtypes."""
        return self._capabilities

    def device_info(self, index: int) -> dict[str, str]:
        """The compiler."""
        return {"name": "host memory", "driver": find_compiler() or "none"}

    # ---- memory ------------------------------------------------------------------------------
    def alloc(self, nbytes: int, index: int) -> Any:
        """Bytes, aligned as NumPy does."""
        try:
            return np.empty(nbytes, np.uint8)
        except MemoryError:
            raise OutOfMemoryError(f"hostc: cannot allocate {nbytes} bytes") from None

    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None:
        """Write bytes."""
        source = np.frombuffer(data.cast("B"), np.uint8)
        buffer[offset : offset + source.size] = source

    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> memoryview:
        """Read bytes."""
        return memoryview(buffer)[offset : offset + nbytes]

    def copy_device(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int, index: int
    ) -> None:
        """Copy bytes."""
        to[to_offset : to_offset + nbytes] = source[source_offset : source_offset + nbytes]

    def synchronize(self, index: int) -> None:
        """Kernels are done when they return."""

    # ---- kernels -----------------------------------------------------------------------------
    def compile(self, source: KernelSource, index: int) -> Any:
        """A C function."""
        function = getattr(ctypes.CDLL(build(source)), source.name)
        function.restype = None
        function.argtypes = [
            *(ctypes.c_void_p if p.is_buffer else TYPES[p.type] for p in source.parameters),
            ctypes.c_int64, ctypes.c_int64]
        return function

    def launch(self, handle: Any, groups: int, arguments: Sequence[Any], index: int) -> None:
        """Call it for all items."""
        handle(*[a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments], 0, groups)
