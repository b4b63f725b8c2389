"""Threads within an op on the CPU."""

from __future__ import annotations


def set_num_threads(count: int) -> None:
    """Use at most ``count`` threads for an op on the CPU.

    Raises:
        RuntimeError: for a count below 1.
    """
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(count).__name__}")
    if count < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {count}")
    from flambeau.plugins import backend_for

    backend_for("cpu").set_num_threads(count)


def get_num_threads() -> int:
    """How many threads an op on the CPU may use."""
    from flambeau.plugins import backend_for

    return backend_for("cpu").num_threads()
