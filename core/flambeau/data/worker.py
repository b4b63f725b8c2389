"""What runs in a worker process of a ``DataLoader``."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from flambeau.data import transport
from flambeau.data.dataset import IterableDataset
from flambeau.data.failure import RemoteError
from flambeau.data.fetch import Fetch, fetcher_for

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# Kinds of message from a worker.
BATCH, ERROR, END, READY = "batch", "error", "end", "ready"

# How often an idle worker looks whether the main process is still there, in seconds.
_PARENT_CHECK = 1.0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What ``get_worker_info`` tells within a worker process.

    Attributes:
        id: number of the worker, from 0.
        num_workers: how many workers there are.
        seed: the seed that this worker's generators were given.
        dataset: this worker's own copy of the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Who this worker process is; ``None`` in the main process."""
    return _info


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs to know; it must be picklable for the spawn start method."""

    dataset: Any
    batched: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    worker_init_fn: Callable[[int], object] | None
    base_seed: int
    id: int
    num_workers: int

    @property
    def is_stream(self) -> bool:
        """Whether StopIteration is the end of the samples rather than an error."""
        return isinstance(self.dataset, IterableDataset)

    def fetcher(self) -> Fetch:
        """Start reading the dataset from its beginning."""
        return fetcher_for(self.dataset, self.batched, self.collate_fn, self.drop_last)


class Task(NamedTuple):
    """Read these samples; ``released`` are segments that the worker may write again."""

    number: int
    samples: Any
    released: list[int]


class Restart:
    """Start a new pass over the dataset."""


def main(job: Job, connection: Connection, inherited: Iterable[Connection]) -> None:
    """Serve tasks from the connection until told to stop or the main process is gone.

    Args:
        job: what to serve.
        connection: tasks come in, messages go out.
        inherited: the main process's ends of connections, present here because of a fork.  They
            are closed, so that the death of the main process closes them everywhere.
    """
    for other in inherited:
        # Another thread of the main process may have been closing it at the moment of the fork.
        with contextlib.suppress(OSError):
            other.close()
    # Ctrl-C reaches every process of the terminal; the main process decides what stops.  A Python
    # handler, not SIG_IGN: programs that a dataset starts must not inherit deafness.
    signal.signal(signal.SIGINT, lambda *_: None)
    _use_one_thread()
    _seed(job)
    global _info
    _info = WorkerInfo(job.id, job.num_workers, job.base_seed + job.id, job.dataset)
    transport.arena = transport.Arena()
    # A broken connection: the main process has closed its end, nobody wants the rest.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _Server(job, connection, transport.arena).run()


def _use_one_thread() -> None:
    """Workers are the parallelism: their own numerical libraries must not add threads to it."""
    import flambeau as fb

    fb.set_num_threads(1)
    try:
        import threadpoolctl
    except ImportError:
        return
    threadpoolctl.threadpool_limits(1)


def _seed(job: Job) -> None:
    """Seed ``random``, flambeau and NumPy; the numbers equal those of PyTorch's workers.

    The generators are made anew: if another thread of the main process was drawing at the moment
    of a fork, the lock of the copied one would stay taken for ever.
    """
    import random

    import numpy as np

    import flambeau as fb

    random.seed(job.base_seed + job.id)
    type(fb.default_generator).__init__(fb.default_generator)
    fb.manual_seed(job.base_seed + job.id)
    # NumPy's legacy generator gets a hash of both numbers: seeds base + id are too alike for it.
    entropy = [job.id, job.base_seed & 0xFFFFFFFF, job.base_seed >> 32, 0]
    bits = np.random.MT19937()
    np.random.RandomState(bits).seed(np.random.SeedSequence(entropy).generate_state(4))
    np.random.set_bit_generator(bits)  # type: ignore[attr-defined]


class _Server:
    """Reads tasks in a thread and answers them in order.

    The thread empties the connection at all times, so the main process never blocks on sending
    tasks while this process blocks on sending a batch.
    """

    def __init__(self, job: Job, connection: Connection, arena: transport.Arena) -> None:
        self._job, self._connection, self._arena = job, connection, arena
        self._tasks: queue.SimpleQueue[Task | Restart | None] = queue.SimpleQueue()
        self._stopping = False

    def run(self) -> None:
        """Serve until told to stop."""
        threading.Thread(target=self._read_tasks, daemon=True).start()
        fetch = self._start_reading(self._job.worker_init_fn)
        ended = False
        while (task := self._tasks.get()) is not None and not self._stopping:
            if isinstance(task, Restart):
                fetch, ended = self._restart(), False
                continue
            self._arena.reclaim(task.released)
            if not ended:
                ended = self._serve(task, fetch)

    def _read_tasks(self) -> None:
        parent = os.getppid()
        try:
            while True:
                while not self._connection.poll(_PARENT_CHECK):
                    if os.getppid() != parent:
                        return
                task = self._connection.recv()
                if task is None:
                    return
                self._tasks.put(task)
        except (EOFError, OSError):
            pass
        finally:
            self._stopping = True
            self._tasks.put(None)

    def _start_reading(self, initialise: Callable[[int], object] | None = None) -> Fetch:
        """A fetcher from the beginning of the dataset; if that fails, one that raises why."""
        try:
            if initialise is not None:
                initialise(self._job.id)
            return self._job.fetcher()
        except Exception as error:
            caught = error

        def fail(_: Any) -> Any:
            raise caught

        return fail

    def _restart(self) -> Fetch:
        self._arena.send(self._connection, self._arena.encode(READY, -1, None))
        return self._start_reading()

    def _serve(self, task: Task, fetch: Fetch) -> bool:
        """Answer one task; true if the stream of samples has ended."""
        ended = False
        try:
            message = self._arena.encode(BATCH, task.number, fetch(task.samples))
        except Exception as error:
            ended = isinstance(error, StopIteration) and self._job.is_stream
            kind = END if ended else ERROR
            where = f"in DataLoader worker process {self._job.id}"
            value = None if ended else RemoteError.caught(error, where)
            message = self._arena.encode(kind, task.number, value)
        self._arena.send(self._connection, message)
        return ended
