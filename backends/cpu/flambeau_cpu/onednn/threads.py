"""A pool of Python threads that run parts of one kernel.

A part is a call into the library that lasts some hundred microseconds and releases the
interpreter's lock.  Which thread runs a part does not matter: parts are cut by shapes alone.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Final

from flambeau_cpu.native.library import default_threads
from flambeau_cpu.onednn.library import Api, loaded

Part = Callable[[], Any]
GRAIN: Final = 100.0
"""Microseconds of work for which another thread is woken."""
MOST: Final = 16
"""Parts of one kernel: more threads than this do not help it."""


class _Job:
    """Parts, and what became of those that helpers ran."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._left = deque(parts)
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()

    def help(self) -> None:
        """Run parts until none is left."""
        while self._left:
            try:
                part = self._left.popleft()
            except IndexError:  # another was quicker
                return
            try:
                part()
            except BaseException as error:
                self._done.put(error)
            else:
                self._done.put(None)

    def finish(self) -> None:
        """Run parts and wait for those that others have begun.

        Raises:
            BaseException: what a part raised.
        """
        count = len(self._left)
        self.help()
        raised = [self._done.get() for _ in range(count)]
        for error in raised:
            if error is not None:
                raise error


class Pool:
    """Threads that wait for jobs; the caller of a job works too.

    Attributes:
        limit: how many threads work on one job.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.restart()

    def restart(self) -> None:
        """Forget all threads: a forked child has none of them."""
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def run(self, parts: Sequence[Part]) -> None:
        """Run all parts; they may run in any order and at once."""
        library = loaded()
        before = library.threads()
        if before == 1:
            self._run(library, parts)
            return
        library.set_threads(1)
        try:
            self._run(library, parts)
        finally:
            library.set_threads(before)

    def _run(self, library: Api, parts: Sequence[Part]) -> None:
        helpers = min(self.limit, len(parts)) - 1
        if helpers < 1:
            for part in parts:
                part()
            return
        job = _Job(parts)
        if self._started < helpers:
            self._start(library, helpers)
        for _ in range(helpers):
            self._jobs.put(job)
        job.finish()

    def _start(self, library: Api, count: int) -> None:
        with self._lock:
            while self._started < count:
                threading.Thread(target=_work, args=(library, self._jobs), daemon=True,
                                 name=f"flambeau-onednn-{self._started}").start()
                self._started += 1


def _work(library: Api, jobs: SimpleQueue[_Job]) -> None:
    library.set_threads(1)
    while True:
        jobs.get().help()


@contextmanager
def alone(library: Api) -> Iterator[None]:
    """What this thread makes or runs in the library uses no other threads."""
    before = library.threads()
    library.set_threads(1)
    try:
        yield
    finally:
        library.set_threads(before)


def ranges(count: int, cost: float, most: int = MOST) -> tuple[tuple[int, int], ...]:
    """Rows, images or the like as parts of about one size.

    Args:
        count: how many there are.
        cost: of all together, in microseconds on one thread, roughly.
        most: so many parts at most.
    """
    number = min(most, count, max(1, int(cost / GRAIN)))
    step = -(-count // number)
    return tuple((i, min(i + step, count)) for i in range(0, count, step))


POOL: Final = Pool(default_threads())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.restart)
