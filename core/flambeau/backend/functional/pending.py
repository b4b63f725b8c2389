"""Work that a library has put off, and the checks of values that wait for it.

A lazy library computes nothing until a value is asked for.  Then statistics that a training
updates and nobody reads would keep every step's arrays alive.  So buffers that were written are
listed, and every so often those that are still alive are computed.

A kernel that has to look at values before it can be trusted (an index within bounds) must not stop
the device to do so: it leaves a check, which raises at the next point that waits, as on a GPU.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flambeau.backend.functional.library import Array, ArrayLibrary
    from flambeau.backend.functional.memory import Buffer

WRITES: Final = 64
"""So many writes are put off before they are computed."""
CHECKS: Final = 32
"""So many checks wait before they are made."""


class Runtime:
    """A library in use: what it has not computed yet."""

    def __init__(self, library: ArrayLibrary) -> None:
        self.library, self.is_deferred = library, library.is_deferred
        self._listed: list[weakref.ref[Buffer]] = []
        self._writes = 0
        self._checks: list[tuple[tuple[Array, ...], Callable[..., None]]] = []
        self._failed: Exception | None = None

    def written(self, buffer: Buffer) -> None:
        """Note that a buffer holds an array that may not have been computed."""
        if not buffer.is_listed:
            buffer.is_listed = True
            self._listed.append(weakref.ref(buffer))
        self._writes += 1  # a buffer written again and again hides a chain of arrays
        if self._writes >= WRITES:
            self.flush(self.library.start)

    def flush(self, compute: Callable[[list[Array]], None]) -> None:
        """Have the arrays of all buffers listed computed that are still alive."""
        listed, self._listed, self._writes = self._listed, [], 0
        arrays = []
        for reference in listed:
            buffer = reference()
            if buffer is not None:
                buffer.is_listed = False
                if buffer.array is not None:
                    arrays.append(buffer.array)
        compute(arrays)

    def later(self, verdict: Callable[..., None], *numbers: Array) -> None:
        """Call ``verdict`` with the values of arrays of one element, which raises if it must.

        At once if the library computes at once, else where the device is waited for.
        """
        if not self.is_deferred:
            verdict(*(number.item() for number in numbers))
            return
        self._checks.append((numbers, verdict))
        if len(self._checks) >= CHECKS:
            self._judge()  # an error must not come out of a kernel that has nothing to do with it

    def settle(self) -> None:
        """Make the checks that wait; the first that failed raises, the others are dropped."""
        self._judge()
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def _judge(self) -> None:
        """Make the checks that wait, and keep the first error."""
        checks, self._checks = self._checks, []
        for numbers, verdict in checks:
            if self._failed is None:
                try:
                    verdict(*(number.item() for number in numbers))
                except Exception as error:
                    self._failed = error

    def synchronize(self) -> None:
        """Wait for all work and make the checks."""
        self.flush(self.library.wait)
        self.settle()


def within(size: int, dim: int) -> Callable[[int, int], None]:
    """A verdict on the least and the greatest index along a dimension.

    Raises:
        IndexError: by the verdict, naming the index and the dimension.
    """

    def verdict(low: int, high: int) -> None:
        if low < 0 or high >= size:
            bad = low if low < 0 else high
            raise IndexError(
                f"index out of range: {bad} is out of bounds for dimension {dim} with size {size}")

    return verdict
