"""The CPU as a device: the names of ``torch.cpu``, and its pool of memory.

Large arrays live in blocks that are kept for the next array when they are freed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flambeau.backend import Backend

__all__ = [
    "current_device", "device_count", "empty_cache", "is_available", "max_memory_allocated",
    "memory_allocated", "memory_reserved", "memory_stats", "reset_peak_memory_stats",
    "synchronize",
]


def _backend() -> Backend:
    from flambeau.plugins import backend_for

    return backend_for("cpu")


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1: all processors are one device."""
    return 1


def current_device() -> str:
    """The device that is used without an index."""
    return "cpu"


def synchronize(device: object = None) -> None:
    """Nothing to wait for: ops are done when they return."""


def empty_cache() -> None:
    """Give the memory that no tensor uses back to the system."""
    _backend().empty_cache()


def memory_stats() -> dict[str, int]:
    """Counts of the pool, in bytes and calls.

    Returns:
        ``allocated``: bytes in use; ``reserved``: those, and bytes kept for later;
        ``peak_allocated``; ``allocations``: how many; ``reused``: how many of them took a block
        that had been kept.  Small arrays do not come from the pool and are not counted.
    """
    return _backend().memory_stats(0)


def memory_allocated() -> int:
    """Bytes of the pool that tensors use."""
    return memory_stats()["allocated"]


def memory_reserved() -> int:
    """Bytes that the pool has from the system."""
    return memory_stats()["reserved"]


def max_memory_allocated() -> int:
    """The most bytes of the pool that were in use at once, since the last reset."""
    return memory_stats()["peak_allocated"]


def reset_peak_memory_stats() -> None:
    """Count the peak from now on."""
    _backend().reset_peak_memory_stats(0)
