"""Errors that cross from a worker process to the main process."""

from __future__ import annotations

import pickle
import signal
import traceback
from dataclasses import dataclass
from typing import Any

_SHOWN_INDICES = 16


class _Verbatim(str):
    """Text whose repr is itself: ``KeyError`` shows the repr of its argument."""

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class RemoteError:
    """An exception as it can be sent: its type and its printed traceback."""

    exception: type[Any]
    text: str
    where: str

    @staticmethod
    def caught(error: BaseException, where: str) -> RemoteError:
        """Describe an exception that is being handled."""
        text = "".join(traceback.format_exception(error))
        return RemoteError(_sendable(type(error)), text, where)

    def reraise(self) -> None:
        """Raise an exception of the same type, its message the remote traceback.

        Raises:
            RuntimeError: in place of a type that cannot be made from one string.
        """
        name = self.exception.__name__
        message: Any = f"Caught {name} {self.where}.\nOriginal {self.text}"
        if self.exception is KeyError:
            message = _Verbatim(message)
        try:
            if getattr(self.exception, "message", None):
                error = self.exception(message=message)
            else:
                error = self.exception(message)
        except Exception:
            raise RuntimeError(message) from None
        raise error


def _sendable(kind: type[BaseException]) -> type[BaseException]:
    """The type, or the nearest of its bases that another process can import."""
    for candidate in kind.__mro__:
        try:
            pickle.loads(pickle.dumps(candidate))
        except Exception:
            continue
        return candidate
    raise AssertionError("unreachable: BaseException can be pickled")


def describe_exit(exitcode: int | None) -> str:
    """What an exit code says, in words: ``was killed by SIGKILL (9)``, ``exited with code 3``."""
    if exitcode is None:
        return "closed its connection"
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = "signal"
    return f"was killed by {name} ({-exitcode})"


_HINTS = {
    "SIGKILL": "The system may have run out of memory: use fewer workers or smaller batches.",
    "SIGSEGV": "Native code of the dataset crashed: set num_workers=0 to find where.",
    "SIGBUS": "A mapped file or shared memory is shorter than expected, or the disk is full.",
}


def hint_for_exit(exitcode: int | None) -> str:
    """What usually causes such an exit, and what to do; may be empty."""
    text = describe_exit(exitcode)
    return next((hint for name, hint in _HINTS.items() if name in text), "")


def describe_indices(indices: Any) -> str:
    """The sample indices of a task, shortened."""
    if not isinstance(indices, (list, tuple)) or len(indices) <= _SHOWN_INDICES:
        return str(indices)
    shown = ", ".join(str(index) for index in indices[:_SHOWN_INDICES])
    return f"[{shown}, ... {len(indices)} in all]"
