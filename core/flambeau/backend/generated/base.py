"""The class that authors derive from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from flambeau.backend import Backend, KernelTable, Strided
from flambeau.codegen.block import KernelSource
from flambeau.codegen.dialects import Dialect
from flambeau.dtypes import dtype
from flambeau.layout import Layout


@dataclass(frozen=True, slots=True)
class Traits:
    """What the generator asks of a device."""

    group_size: int = 64
    """Work items per group of kernels whose items are independent; 1 without groups."""
    lanes: int = 1
    """How many items of a group share one reduction, scan or sort: a power of 2; 1 where an item
    does best alone, as on a CPU, and always without groups."""
    per_item: int = 1
    """Elements that an item of a pointwise kernel handles where memory is walked in order: more
    than 1 keeps more reads under way on some GPUs."""
    units: int = 1
    """Groups that run at once, roughly: less work than that is spread thinner."""
    buffers: int = 32
    """Buffers that a kernel may have as arguments, for kernels over lists of tensors."""
    local_memory: int = 0
    """Bytes that a group may share."""
    has_f64: bool = True
    """Whether kernels may compute in double precision."""
    has_atomics: bool = True
    """Whether :meth:`Dialect.atomic_add` works for 4-byte elements."""
    has_wide_atomics: bool = True
    """And for 8-byte ones."""


class GeneratedBackend(Backend):
    """A backend made of a dialect and a launcher.

    Buffers are whatever ``alloc`` returns; kernels get them with offsets in elements.
    """

    dialect: ClassVar[Dialect]
    overrides: ClassVar[KernelTable] = KernelTable()
    """Kernels that take the place of generated ones, as ``kernel(backend, out, *inputs,
    **attributes)`` and ``fresh(backend, *inputs, **attributes)``."""

    def __init__(self) -> None:
        from flambeau.backend.generated.flags import Flags
        from flambeau.backend.generated.table import table_for

        self.flags = Flags(self)
        self._programs: dict[tuple[int, Any], Any] = {}
        self.kernels = table_for(self)  # type: ignore[misc]  # of the instance: they know it

    # ---- required ----------------------------------------------------------------------------
    @abstractmethod
    def traits(self, index: int) -> Traits:
        """What the generator may count on; the same at every call."""

    @abstractmethod
    def compile(self, source: KernelSource, index: int) -> Any:
        """A handle of a kernel that is ready to run.

        Raises:
            BackendError: with the compiler's words, the kernel's name and the lines at fault.
        """

    @abstractmethod
    def launch(
        self, handle: Any, groups: int, arguments: Sequence[Any], index: int
    ) -> None:
        """Run groups of ``source.group_size`` work items.

        Args:
            arguments: one per parameter of the source, in order: buffers, then Python ints,
                floats and bools in the range of the parameter's type.
        """

    # ---- optional ----------------------------------------------------------------------------
    def index_of(self, buffer: Any) -> int:
        """The device that a buffer is on."""
        return 0

    def check_flags(self, index: int) -> None:
        """Raise what kernels found wrong, an index out of range.

        An asynchronous backend calls this last in ``synchronize`` and ``copy_out``; it costs
        nothing unless a kernel with checks ran.  For others it happens after each such kernel.

        Raises:
            IndexError: naming the op, the index, the dimension and its size.
        """
        self.flags.check(index)

    # ---- for the families --------------------------------------------------------------------
    def adopt(self, native: Strided) -> tuple[Strided, Any, int, Layout]:
        """What a fresh kernel returned."""
        layout = native.layout
        return native, native.buffer, layout.span() * native.dtype.itemsize, layout

    def dtype_of(self, native: Strided) -> dtype:
        """The element type of what a fresh kernel returned."""
        return native.dtype

    def empty(self, what: dtype, layout: Layout, index: int) -> Strided:
        """A new uninitialised tensor."""
        return Strided(self.alloc(layout.span() * what.itemsize, index), what, layout)

    def program(self, key: Any, make: Callable[[], KernelSource], index: int) -> Any:
        """The handle of a kernel, compiled at first use.

        Args:
            key: all that the source depends on.
        """
        found = self._programs.get((index, key))
        if found is None:
            found = self._programs[index, key] = self.compile(make(), index)
        return found
