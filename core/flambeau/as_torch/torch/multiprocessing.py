"""``torch.multiprocessing``: Python's, whose processes have ``torch`` as this one; and ``spawn``.

Tensors travel between processes by value.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing import *  # noqa: F403  all of it is PyTorch's interface, too
from multiprocessing import connection
from typing import Any

_strategy = "file_system"


def get_all_sharing_strategies() -> set[str]:
    """The one way."""
    return {_strategy}


def get_sharing_strategy() -> str:
    """The one way."""
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Accept any of PyTorch's ways: tensors travel by value."""
    if new_strategy not in ("file_system", "file_descriptor"):
        raise ValueError(f"unknown sharing strategy: {new_strategy!r}")


class ProcessException(Exception):
    """A process that ``spawn`` started has failed."""

    def __init__(self, msg: str, error_index: int, pid: int | None) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """It raised an exception, whose traceback is the message."""


class ProcessExitedException(ProcessException):
    """It ended otherwise.

    Attributes:
        exit_code: negative for a signal.
    """

    def __init__(self, msg: str, error_index: int, pid: int | None, exit_code: int) -> None:
        super().__init__(msg, error_index, pid)
        self.exit_code = exit_code


def _run(fn: Callable[..., Any], index: int, args: tuple[Any, ...], failed: Any) -> None:
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except BaseException:
        failed.put((index, traceback.format_exc()))
        raise SystemExit(1) from None


class ProcessContext:
    """The processes that ``spawn`` started."""

    def __init__(self, processes: list[Any], failed: Any) -> None:
        self.processes, self._failed = processes, failed

    def pids(self) -> list[int]:
        """Their numbers."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None) -> bool:
        """Wait until one fails or all have ended; true if all have.

        Raises:
            ProcessRaisedException, ProcessExitedException: if one failed; the others are stopped.
        """
        running = [p for p in self.processes if p.exitcode is None]
        if running:
            connection.wait([p.sentinel for p in running], timeout)
        for process in self.processes:
            if process.exitcode not in (None, 0):
                self._raise(self.processes.index(process))
        return all(process.exitcode == 0 for process in self.processes)

    def _raise(self, index: int) -> None:
        for process in self.processes:
            if process.is_alive():
                process.terminate()
            process.join()
        culprit = self.processes[index]
        if not self._failed.empty():
            index, told = self._failed.get()
            raise ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{told}", index,
                self.processes[index].pid)
        raise ProcessExitedException(
            f"process {index} terminated with exit code {culprit.exitcode}", index, culprit.pid,
            culprit.exitcode)


def start_processes(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True,
    daemon: bool = False, start_method: str = "spawn",
) -> ProcessContext | None:
    """Start processes that call ``fn(i, *args)``; wait for them if ``join``."""
    context: Any = multiprocessing.get_context(start_method)
    failed = context.SimpleQueue()
    processes = [
        context.Process(target=_run, args=(fn, index, args, failed), daemon=daemon)
        for index in range(nprocs)]
    for process in processes:
        process.start()
    started = ProcessContext(processes, failed)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True,
    daemon: bool = False, start_method: str = "spawn",
) -> ProcessContext | None:
    """``start_processes``, by PyTorch's usual name."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)
