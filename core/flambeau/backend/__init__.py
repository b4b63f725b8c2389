"""The public plugin API: all that a backend needs, and all that it may import.

A backend is a class derived from :class:`Backend` with eight device methods and a table of
kernels.  A kernel is ``kernel(out, *inputs, **attributes)``: ``out`` and the tensor inputs are
*natives* (the backend's own arrays, or :class:`Strided` where it has none), possibly strided;
an input may also be a Python number, already of the right category.  ``out`` has the result's
shape and dtype and may be exactly one of the inputs, never a partial overlap of one.
A kernel that declines a case returns ``NotImplemented``: then the decomposition runs.

A *fresh* form, ``kernel(*inputs, **attributes) -> native``, may be given beside the ``out`` form
by backends whose array library allocates faster than the core does; both must agree.  Kernels
without inputs (``fill``, ``arange``) have the fresh form ``kernel(shape, dtype, **attributes)``.
A kernel with several results takes and returns them as a tuple.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, ClassVar, Final, Protocol, TypeVar

from flambeau import dtypes
from flambeau.dtypes import dtype
from flambeau.errors import (
    BackendError,
    MissingKernelError,
    OutOfMemoryError,
    UnsupportedDtypeError,
)
from flambeau.layout import Layout, broadcast_shapes

__all__ = [
    "API",
    "Backend",
    "BackendError",
    "Capabilities",
    "KernelTable",
    "Layout",
    "MissingKernelError",
    "Native",
    "OutOfMemoryError",
    "Strided",
    "UnsupportedDtypeError",
    "broadcast_shapes",
    "dtype",
    "dtypes",
    "hookimpl",
]

API: Final = (1, 0)
"""Version of this contract, (major, minor).  A backend states the one it was written for."""

F = TypeVar("F", bound=Callable[..., Any])


class Native(Protocol):
    """What kernels are given: any array-like object that knows its shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        ...


class Strided:
    """A tensor as a kernel sees it when the backend has no array type of its own.

    Attributes:
        buffer: what ``Backend.alloc`` returned.
        dtype: the element type.
        layout: shape, strides and offset, in elements.
    """

    __slots__ = ("buffer", "dtype", "layout")

    def __init__(self, buffer: Any, dtype: dtype, layout: Layout) -> None:
        self.buffer, self.dtype, self.layout = buffer, dtype, layout

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.layout.shape

    def __repr__(self) -> str:
        return f"Strided({self.dtype.name}, {self.layout})"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a device can do.  Everything defaults to the least: claim only what holds."""

    dtypes: frozenset[dtype] = frozenset({dtypes.bool, dtypes.int64, dtypes.float32})
    """Element types that tensors on the device may have."""
    needs_contiguous: bool = False
    """Kernels want row-major inputs and outputs: the core inserts copies."""
    deterministic: bool = False
    """Repeated calls give equal bits."""
    asynchronous: bool = False
    """Kernels may still run when the call returns; ``synchronize`` waits and raises errors."""
    thread_safe: bool = False
    """Kernels may be called from several threads at once."""
    fork_safe: bool = False
    """The device still works in a forked child."""
    total_memory: int | None = None
    """Bytes on the device, if known."""


def _in_frame(kernel: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any, **attributes: Any) -> Any:
        return kernel(*inputs, **attributes)

    return run


@dataclass(slots=True)
class KernelTable:
    """The kernels of one backend, by op name."""

    out: dict[str, Callable[..., Any]] = field(default_factory=dict)
    fresh: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def register(
        self, *names: str, fresh: Callable[..., Any] | None = None
    ) -> Callable[[F], F]:
        """Decorator: this function is the ``out`` form of the ops named."""

        def add(kernel: F) -> F:
            for name in names:
                self._once(self.out, name, kernel)
                if fresh is not None:
                    self._once(self.fresh, name, fresh)
            return kernel

        return add

    def register_fresh(self, *names: str) -> Callable[[F], F]:
        """Decorator: this function is the ``fresh`` form of the ops named."""

        def add(kernel: F) -> F:
            for name in names:
                self._once(self.fresh, name, kernel)
            return kernel

        return add

    def give_frames(self) -> None:
        """Let every fresh kernel run in a frame of Python's.

        A library's function that a compiled core calls directly would have the user's line as its
        frame, at which warnings would be shown that a backend filters by its modules' names.
        """
        for name, kernel in self.fresh.items():
            if not isinstance(kernel, FunctionType):
                self.fresh[name] = _in_frame(kernel)

    def names(self) -> set[str]:
        """The ops that have a kernel."""
        return self.out.keys() | self.fresh.keys()

    def merge(self, tables: Iterable[KernelTable]) -> None:
        """Take over the kernels of other tables, one per op family for example."""
        for table in tables:
            for name, kernel in table.out.items():
                self._once(self.out, name, kernel)
            for name, kernel in table.fresh.items():
                self._once(self.fresh, name, kernel)

    @staticmethod
    def _once(table: dict[str, Callable[..., Any]], name: str, kernel: Callable[..., Any]) -> None:
        if name in table:
            raise ValueError(f"two kernels are registered for {name!r}")
        table[name] = kernel


class Backend(ABC):
    """A kind of device.  Device indices count from 0; offsets and sizes are in bytes."""

    name: ClassVar[str]
    """The device type: the word in ``x.to(name)`` and the entry point's name."""
    api: ClassVar[tuple[int, int]] = API
    """The version of the plugin API that the backend was written for."""
    kernels: ClassVar[KernelTable]

    # ---- required ----------------------------------------------------------------------------
    @abstractmethod
    def device_count(self) -> int:
        """How many devices there are now."""

    @abstractmethod
    def alloc(self, nbytes: int, index: int) -> Any:
        """A new buffer, uninitialised, aligned for any dtype; freed when it is collected.

        Raises:
            OutOfMemoryError: if the device cannot give it.
        """

    @abstractmethod
    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None:
        """Write host bytes into a buffer."""

    @abstractmethod
    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> bytes | memoryview:
        """Read host bytes from a buffer, waiting for kernels that write it."""

    @abstractmethod
    def copy_device(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int, index: int
    ) -> None:
        """Copy bytes between two buffers of one device."""

    @abstractmethod
    def synchronize(self, index: int) -> None:
        """Wait until all work on a device is done; raise what went wrong in it."""

    @abstractmethod
    def capabilities(self, index: int) -> Capabilities:
        """What a device can do."""

    @abstractmethod
    def device_info(self, index: int) -> dict[str, str]:
        """Facts for people: at least ``name``, and say ``driver``, ``library``."""

    # ---- optional ----------------------------------------------------------------------------
    current_device_is_fixed: ClassVar[bool] = True
    """False when ``current_device`` can change between calls."""

    def current_device(self) -> int:
        """The index that a device string without one means."""
        return 0

    def native(self, buffer: Any, what: dtype, layout: Layout) -> Any:
        """The backend's own array over a part of a buffer; cached by the core per tensor."""
        return Strided(buffer, what, layout)

    def adopt(self, native: Any) -> tuple[Any, Any, int, Layout]:
        """An array that a fresh kernel returned, its buffer, the buffer's bytes, the layout.

        Only needed with fresh kernels.  The first item is the array to use from now on: NumPy
        returns scalars for 0-d results, which own no memory, and these become arrays here.
        """
        raise NotImplementedError(f"{self.name}: adopt() is needed with fresh kernels")

    def dtype_of(self, native: Any) -> dtype:
        """The element type of an array that a fresh kernel returned."""
        found = native.dtype
        return found if isinstance(found, dtype) else dtypes.from_numpy_dtype(found)

    def set_num_threads(self, count: int) -> None:
        """Use at most ``count`` threads within an op, if the backend computes on the host."""

    def num_threads(self) -> int:
        """How many threads an op may use on the host."""
        return 1

    def samplers(self) -> Mapping[str, Callable[..., bool]]:
        """Faster ways to draw random numbers, asked of the host's backend: ``flambeau.rng.host``
        says what they are."""
        return {}

    def empty_cache(self) -> None:
        """Give pooled memory back."""

    def memory_stats(self, index: int) -> dict[str, int]:
        """Counts of a memory pool, in bytes and calls; empty if there is none.

        The usual names: ``allocated`` (in use), ``reserved`` (in use or kept for later),
        ``peak_allocated``, ``allocations``, ``reused`` (allocations that took a kept block).
        """
        return {}

    def reset_peak_memory_stats(self, index: int) -> None:
        """Count ``peak_allocated`` from now on."""

    def diagnostics(self) -> list[str]:
        """Lines for ``flambeau doctor``: libraries that were found, features that are off, why."""
        return []


def hookimpl(function: F) -> F:
    """Mark a plugin's hook implementation (``flambeau_backend`` and its like)."""
    import pluggy

    marked: F = pluggy.HookimplMarker("flambeau")(function)
    return marked
