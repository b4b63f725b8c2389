"""Whether backward passes may use several threads: PyTorch's switch."""

from __future__ import annotations

import threading
from typing import Final

__all__ = ["is_multithreading_enabled", "set_multithreading_enabled"]


class _Mode(threading.local):
    enabled = True


_mode: Final = _Mode()


def is_multithreading_enabled() -> bool:
    """Whether backward passes of this thread may use several threads."""
    return _mode.enabled


class set_multithreading_enabled:
    """Allow or forbid it; as a context, until its end.

    Steps of a backward pass run in the thread that asks for it in any case, as PyTorch has them do
    when it is forbidden; what one step computes uses the backend's threads.
    """

    def __init__(self, mode: bool) -> None:
        self._before, _mode.enabled = _mode.enabled, mode

    def __enter__(self) -> None:
        """It holds already."""

    def __exit__(self, *exc: object) -> None:
        _mode.enabled = self._before
