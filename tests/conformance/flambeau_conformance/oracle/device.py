"""The oracle's memory and its table of kernels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from flambeau.backend import Backend, Capabilities, KernelTable, Layout, dtypes
from flambeau.backend import dtype as DType
from flambeau_conformance.oracle import NAME, matrices, plain
from flambeau_conformance.oracle.formulas import FormulaKernels


class OracleBackend(Backend):
    """Host memory as byte arrays; natives are strided NumPy arrays over them."""

    name = NAME
    kernels: ClassVar[KernelTable] = KernelTable(
        out=FormulaKernels(plain.kernels.out | matrices.kernels.out))
    _capabilities = Capabilities(
        dtypes=frozenset(dtypes.ALL), deterministic=True, thread_safe=True, fork_safe=True
    )

    def device_count(self) -> int:
        """There is one."""
        return 1

    def alloc(self, nbytes: int, index: int) -> np.ndarray[Any, Any]:
        """Zeroed bytes, so that what a kernel forgets to write is the same in every run."""
        return np.zeros(nbytes, np.uint8)

    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None:
        """Write bytes."""
        source = np.frombuffer(data, np.uint8)
        buffer[offset : offset + source.size] = source

    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> bytes:
        """Read bytes."""
        return bytes(buffer[offset : offset + nbytes])

    def copy_device(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int, index: int
    ) -> None:
        """Copy bytes."""
        to[to_offset : to_offset + nbytes] = source[source_offset : source_offset + nbytes]

    def synchronize(self, index: int) -> None:
        """Nothing runs on its own."""

    def capabilities(self, index: int) -> Capabilities:
        """All dtypes."""
        return self._capabilities

    def device_info(self, index: int) -> dict[str, str]:
        """What it is."""
        return {"name": "formulas and plain NumPy"}

    def native(self, buffer: Any, what: DType, layout: Layout) -> np.ndarray[Any, Any]:
        """An array over a part of a buffer."""
        if not layout.numel:
            return np.empty(tuple(layout.shape), what.numpy)
        return np.ndarray(
            tuple(layout.shape), what.numpy, buffer, layout.offset * what.itemsize,
            tuple(stride * what.itemsize for stride in layout.strides),
        )
