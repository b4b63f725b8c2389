"""Host memory as NumPy arrays."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import numpy as np

from flambeau.backend import Backend, Capabilities, KernelTable, Layout, OutOfMemoryError, dtypes
from flambeau.backend import dtype as DType
from flambeau_cpu.kernels import TABLE
from flambeau_cpu.memory import POOL, SMALLEST
from flambeau_cpu.native import kernels as native_kernels
from flambeau_cpu.native.library import describe, runtime
from flambeau_cpu.onednn import kernels as onednn_kernels
from flambeau_cpu.onednn.library import state as onednn_state
from flambeau_cpu.onednn.threads import POOL as ONEDNN_POOL

ALIGNMENT: Final = 64

# log(-1), 1 / 0 and exp(1000) have results that users expect; NumPy's warnings name lines of
# ours.  Filtered once: np.errstate around every kernel would double the cost of small ones.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"flambeau")

_strides: Final[dict[tuple[tuple[int, ...], int], tuple[int, ...]]] = {}


class CpuBackend(Backend):
    """The host.  Buffers are one-dimensional byte arrays, natives are ``ndarray`` over them."""

    name = "cpu"
    kernels: ClassVar[KernelTable] = native_kernels.TABLE.over(onednn_kernels.TABLE.over(TABLE))
    _capabilities = Capabilities(
        dtypes=frozenset((*dtypes.ALL, *dtypes.OPTIONAL)), deterministic=True, thread_safe=True,
        fork_safe=True,
    )

    def __init__(self) -> None:
        self._dtypes: dict[np.dtype[Any], DType] = {}

    def device_count(self) -> int:
        """The host is one device."""
        return 1

    def alloc(self, nbytes: int, index: int) -> np.ndarray[Any, Any]:
        """Bytes aligned to a cache line; large buffers come from a pool."""
        if nbytes >= SMALLEST:
            return np.ndarray((nbytes,), np.uint8, POOL.lease(nbytes))
        try:
            block = np.empty(nbytes + ALIGNMENT, np.uint8)
        except MemoryError as error:
            raise OutOfMemoryError(f"cpu: cannot allocate {nbytes} bytes") from error
        start = -block.ctypes.data % ALIGNMENT if nbytes >= 4096 else 0
        return block[start : start + nbytes]

    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None:
        """Write bytes."""
        source = np.frombuffer(data, np.uint8)
        _bytes_of(buffer)[offset : offset + source.size] = source

    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> memoryview:
        """The bytes themselves, without a copy."""
        part: Any = _bytes_of(buffer)[offset : offset + nbytes]
        return memoryview(part)

    def copy_device(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int, index: int
    ) -> None:
        """Copy bytes."""
        part = _bytes_of(source)[source_offset : source_offset + nbytes]
        _bytes_of(to)[to_offset : to_offset + nbytes] = part

    def synchronize(self, index: int) -> None:
        """Kernels are done when they return."""

    def capabilities(self, index: int) -> Capabilities:
        """All dtypes, deterministic, safe in threads and forks."""
        return self._capabilities

    def device_info(self, index: int) -> dict[str, str]:
        """The processor and the NumPy version."""
        name = platform.processor() or platform.machine()
        return {"name": name, "library": f"numpy {np.__version__}"}

    def native(self, buffer: Any, what: DType, layout: Layout) -> np.ndarray[Any, Any]:
        """An array over a part of a buffer."""
        size = what.itemsize
        if not layout.numel:
            return np.empty(layout.shape, what.numpy)
        if layout.is_contiguous:
            return np.ndarray(layout.shape, what.numpy, buffer, layout.offset * size)
        return np.ndarray(
            layout.shape, what.numpy, buffer, layout.offset * size,
            tuple(s * size for s in layout.strides),
        )

    def adopt(self, native: Any) -> tuple[Any, Any, int, Layout]:
        """An array's buffer is the array that owns its memory, or itself."""
        if not isinstance(native, np.ndarray):
            native = np.asarray(native)
        size = native.itemsize
        shape = native.shape
        if native.flags.c_contiguous:
            return native, native, native.nbytes, Layout.contiguous(shape)
        strides = tuple(s // size for s in native.strides)
        layout = Layout.of(shape, strides)
        if layout.is_dense():
            return native, native.T if native.flags.f_contiguous else _flat(native, layout), (
                native.nbytes), layout
        return native, _window(native, layout), layout.span() * size, layout

    def set_num_threads(self, count: int) -> None:
        """Limit the threads of kernels in C, of oneDNN and of NumPy's BLAS."""
        from threadpoolctl import threadpool_limits

        ONEDNN_POOL.limit = count
        if (pool := runtime()) is not None:
            pool.fb_set_threads(count)
        threadpool_limits(count, user_api="blas")

    def num_threads(self) -> int:
        """The threads of kernels in C, or of NumPy's BLAS if there is no compiler."""
        if (pool := runtime()) is not None:
            return int(pool.fb_threads())
        from threadpoolctl import threadpool_info

        return max((p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"),
                   default=1)

    def samplers(self) -> Mapping[str, Callable[..., bool]]:
        """Random numbers in C, if there is a compiler."""
        from flambeau_cpu.native.samplers import find

        return find()

    def empty_cache(self) -> None:
        """Give the pool's unused memory to the system."""
        POOL.clear()

    def memory_stats(self, index: int) -> dict[str, int]:
        """Counts of the pool."""
        return POOL.counts()

    def reset_peak_memory_stats(self, index: int) -> None:
        """Count the pool's peak from now on."""
        POOL.reset_peak()

    def diagnostics(self) -> list[str]:
        """What kernels are made of here."""
        return [*describe(), f"oneDNN: {onednn_state()}"]

    def dtype_of(self, native: Any) -> DType:
        """The element type of an array or a NumPy scalar."""
        found = self._dtypes.get(native.dtype)
        if found is None:
            found = self._dtypes[native.dtype] = dtypes.from_numpy_dtype(native.dtype)
        return found


def _flat(native: np.ndarray[Any, Any], layout: Layout) -> np.ndarray[Any, Any]:
    """A dense array in memory order."""
    return native.transpose(layout.order()[::-1])


def _window(native: np.ndarray[Any, Any], layout: Layout) -> np.ndarray[Any, Any]:
    """The memory from the first to the last element of an array with gaps or overlap."""
    return np.lib.stride_tricks.as_strided(native, (layout.span(),), (native.itemsize,))


def _bytes_of(buffer: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A buffer as bytes, whatever array it came from."""
    if buffer.dtype == np.uint8 and buffer.ndim == 1:
        return buffer
    return buffer.reshape(-1).view(np.uint8)
