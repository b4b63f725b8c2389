"""Memory for large arrays, used again.

Getting memory from the system costs more than most kernels: it is mapped and zeroed page by page
when it is first touched.  So freed blocks are kept, in classes of size with an eighth between
them, and given to the next that asks.  A block is free when the last array over it is gone,
whoever holds that array: a tensor, a view, a library that was lent it.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from flambeau.backend import OutOfMemoryError

SMALLEST: Final = 1 << 16
"""Bytes from which on the pool serves; the C library is quick below."""
_HUGE: Final = 1 << 22  # bytes from which on huge pages are asked for
_PRIVATE: Final[dict[str, int]] = (  # else a forked child would write into its parent's blocks
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {})
_CLASSES_TRIED: Final = 3  # a block may be a third larger than what is asked for
_SIZES_KNOWN: Final = 4096  # numbers of bytes whose classes are remembered
_BYTE: Final = np.dtype(np.uint8)
_new: Final = np.ndarray.__new__


class Lease(np.ndarray[Any, Any]):
    """The bytes of a block while something uses them.  Only for arrays to be made over it: a slice
    would be a lease, too, and give the block back when it goes."""

    def __del__(self) -> None:
        give = POOL.give  # None while the interpreter shuts down
        if give is not None:
            give(self.base)


@dataclass(slots=True)
class Statistics:
    """What the pool has done, in bytes and calls."""

    in_use: int = 0
    cached: int = 0
    peak: int = 0
    allocations: int = 0
    reused: int = 0


class Pool:
    """Blocks of memory by class of size.

    Args:
        limit: bytes that may lie unused.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.statistics = Statistics()
        self._free: OrderedDict[int, deque[Any]] = OrderedDict()
        self._classes: dict[int, tuple[int, ...]] = {}
        self._lock = threading.RLock()  # a collection within `take` may give back

    def lease(self, nbytes: int) -> Lease:
        """Uninitialised bytes, aligned to a page.

        Written without calls, because kernels of 20 us wait for it.

        Raises:
            OutOfMemoryError: if the system has none.
        """
        sizes = self._classes.get(nbytes) or self._classes_for(nbytes)
        stats, find = self.statistics, self._free.get
        with self._lock:
            stats.allocations += 1
            for size in sizes:
                found = find(size)
                if found:
                    block = found.pop()
                    stats.reused += 1
                    stats.cached -= size
                    break
            else:
                block, size = None, sizes[0]
            stats.in_use = used = stats.in_use + size
            if used > stats.peak:
                stats.peak = used
        return _new(Lease, (size,), _BYTE, self._map(size) if block is None else block)

    def _classes_for(self, nbytes: int) -> tuple[int, ...]:
        """The class of a size, and those a little larger."""
        sizes = [size_class(nbytes)]
        while len(sizes) < _CLASSES_TRIED:
            sizes.append(size_class(sizes[-1] + 1))
        if len(self._classes) >= _SIZES_KNOWN:
            self._classes.clear()
        self._classes[nbytes] = found = tuple(sizes)
        return found

    def _map(self, size: int) -> Any:
        for attempt in range(2):
            try:
                block = mmap.mmap(-1, size, **_PRIVATE)
            except (OSError, ValueError, OverflowError) as error:
                if not attempt:
                    self.clear()
                    continue
                with self._lock:
                    self.statistics.in_use -= size
                raise OutOfMemoryError(f"cpu: cannot allocate {size} bytes") from error
            if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
                block.madvise(mmap.MADV_HUGEPAGE)
            return block
        raise AssertionError

    def give(self, block: Any) -> None:
        """Take a block back; the oldest ones go to the system when too many lie here."""
        size = len(block)
        with self._lock:
            stats = self.statistics
            stats.in_use -= size
            found = self._free.get(size)
            if found is None:
                found = self._free[size] = deque()
            found.append(block)
            self._free.move_to_end(size)
            stats.cached = cached = stats.cached + size
            if cached > self.limit:
                self._shrink()

    def _shrink(self) -> None:
        while self.statistics.cached > self.limit:
            size, blocks = next(iter(self._free.items()))
            if blocks:
                blocks.popleft()
                self.statistics.cached -= size
            if not blocks:
                del self._free[size]

    def counts(self) -> dict[str, int]:
        """The statistics by name; ``allocated`` and ``reserved`` are bytes."""
        with self._lock:
            stats = self.statistics
            return {
                "allocated": stats.in_use, "reserved": stats.in_use + stats.cached,
                "peak_allocated": stats.peak, "allocations": stats.allocations,
                "reused": stats.reused,
            }

    def reset_peak(self) -> None:
        """Count the peak from now on."""
        with self._lock:
            self.statistics.peak = self.statistics.in_use

    def clear(self) -> None:
        """Give all unused blocks to the system."""
        with self._lock:
            self._free.clear()
            self.statistics.cached = 0


def size_class(nbytes: int) -> int:
    """The next size of which there are eight between powers of two, in whole pages."""
    step = max(1 << max(nbytes.bit_length() - 4, 0), mmap.PAGESIZE)
    return -(-nbytes // step) * step


def _limit() -> int:
    """A quarter of the machine's memory, at most 1 GiB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = 1 << 31
    return min(total // 4, 1 << 30)


POOL: Final = Pool(_limit())
_lease: Final = POOL.lease
_array: Final = np.ndarray


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """An uninitialised row-major array; a large one over a block of the pool."""
    nbytes = prod(shape) * dtype.itemsize
    if nbytes < SMALLEST:
        return np.empty(shape, dtype)
    return _array(shape, dtype, _lease(nbytes))
