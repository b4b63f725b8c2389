"""The worker processes of one iterator, seen from the main process.

Every worker has a connection of its own and shares no lock with anybody, so one that dies at any
moment leaves the others, and the main process, able to go on.
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections import deque
from collections.abc import Iterator
from multiprocessing import connection as mp_connection
from typing import TYPE_CHECKING, Any, NamedTuple

from flambeau.data import worker as worker_side
from flambeau.data.failure import RemoteError, describe_exit, describe_indices, hint_for_exit
from flambeau.data.transport import Reader
from flambeau.data.worker import Job, Restart, Task

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

_DEATH = "death"  # the kind of event that the pool itself adds

# How often the wait for a batch looks at the processes themselves, in seconds.
_HEALTH_CHECK = 0.5
# How long workers may finish what they are at before they are terminated, in seconds.
_GRACE = 5.0

# Connections of all pools of this process: forked workers must close their copies of them.
_open_connections: weakref.WeakSet[Connection] = weakref.WeakSet()

# Read by numerical libraries when they are loaded, which in a spawned worker is at its start.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class Event(NamedTuple):
    """Something that a worker said."""

    worker: int
    kind: str
    task: int
    value: Any


class _Worker:
    """One process, its connection, and the tasks that it has not answered."""

    def __init__(self, context: BaseContext, job: Job) -> None:
        self.id, self.is_stream = job.id, job.is_stream
        self.reader = Reader()
        self.tasks: dict[int, Any] = {}  # in the order in which it works on them
        self.is_dismissed = False
        self.connection, other_end = context.Pipe(duplex=True)
        _open_connections.add(self.connection)
        inherited = tuple(_open_connections) if context.get_start_method() == "fork" else ()
        self.process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=worker_side.main,
            args=(job, other_end, inherited),
            name=f"flambeau-data-{job.id}",
            daemon=True,
        )
        try:
            self.process.start()
        except BaseException:
            self.connection.close()
            raise
        finally:
            other_end.close()

    def post(self, message: Task | Restart | None) -> None:
        """Send a message; a worker that is gone is found out about by whoever waits for it."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def dismiss(self) -> None:
        """Tell it to leave after the task that it is at."""
        if not self.is_dismissed:
            self.is_dismissed = True
            self.post(None)


def _has_input(connection: Connection) -> bool:
    try:
        return connection.poll(0)
    except OSError:
        return False


@contextlib.contextmanager
def _single_threaded_children(context: BaseContext) -> Iterator[None]:
    """Let processes that load their libraries anew load them without threads.

    What the user has set stays as it is.
    """
    added: list[str] = []
    if context.get_start_method() != "fork":
        added = [name for name in _THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


class WorkerPool:
    """Worker processes 0 .. n-1.

    Args:
        context: how to start processes.
        jobs: one per worker.

    Raises:
        TypeError, AttributeError, pickle.PicklingError: if the start method needs to pickle the
            job and cannot.
    """

    grace = _GRACE
    """Seconds that ``close`` lets workers finish the task that they are at."""

    def __init__(self, context: BaseContext, jobs: list[Job]) -> None:
        self._owner = os.getpid()
        self._inbox: deque[Event] = deque()
        self._workers: list[_Worker] = []
        try:
            with _single_threaded_children(context):
                for job in jobs:
                    self._workers.append(_Worker(context, job))
        except BaseException:
            self.grace = 0.0
            self.close()
            raise

    def send(self, worker: int, index: int, samples: Any) -> None:
        """Give a worker a task."""
        target = self._workers[worker]
        target.tasks[index] = samples
        target.post(Task(index, samples, target.reader.released()))

    def receive(self, timeout: float | None = None) -> Event:
        """The next thing that any worker says.

        Args:
            timeout: seconds; ``None`` waits for ever.

        Raises:
            TimeoutError: nobody said anything for so long.
            RuntimeError: a worker died; the message says which, how, and at which samples.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._inbox:
            remaining = _HEALTH_CHECK if deadline is None else deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._collect(min(remaining, _HEALTH_CHECK))
        event = self._inbox.popleft()
        if event.kind == _DEATH:
            raise self._report_of_death(self._workers[event.worker])
        return event

    def _collect(self, timeout: float) -> None:
        """Move what has arrived into the inbox; wait for it if there is nothing."""
        present = [worker for worker in self._workers if not worker.connection.closed]
        connections = [worker.connection for worker in present]
        sentinels = [worker.process.sentinel for worker in present]
        ready = mp_connection.wait([*connections, *sentinels], timeout)
        for worker in present:
            # What a worker said before it died counts: first its connection, then its death.
            heard = worker.connection in ready and self._read(worker)
            is_gone = worker.connection in ready and not heard
            idle = not ready and not worker.process.is_alive()
            if is_gone or idle or worker.process.sentinel in ready:
                self._bury(worker)

    def _read(self, worker: _Worker) -> bool:
        """Move one message into the inbox; false if the connection has ended."""
        try:
            message = worker.reader.read(worker.connection)
        except (EOFError, OSError):
            return False
        worker.tasks.pop(message.task, None)
        kind = message.kind
        try:
            value = worker.reader.decode(message)
        except Exception as error:
            kind = worker_side.ERROR
            value = RemoteError.caught(error, f"reading a batch of DataLoader worker {worker.id}")
        self._inbox.append(Event(worker.id, kind, message.task, value))
        return True

    def _bury(self, worker: _Worker) -> None:
        """A worker is gone: read what it still said, and report it unless it was told to go."""
        while _has_input(worker.connection) and self._read(worker):
            pass
        worker.connection.close()
        worker.process.join(_HEALTH_CHECK)
        if not worker.is_dismissed:
            self._inbox.append(Event(worker.id, _DEATH, -1, None))

    def _report_of_death(self, worker: _Worker) -> RuntimeError:
        exitcode = worker.process.exitcode
        index, samples = next(iter(worker.tasks.items()), (None, None))
        if index is None:
            activity = "while it was idle"
        elif worker.is_stream:
            activity = f"while it read batch {index} from the stream"
        else:
            activity = f"while it loaded the samples {describe_indices(samples)}"
        return RuntimeError(
            f"DataLoader worker (pid(s) {worker.process.pid}) exited unexpectedly: "
            f"worker {worker.id} of {len(self._workers)} {describe_exit(exitcode)} {activity}. "
            f"{hint_for_exit(exitcode)}".rstrip()
        )

    def busy(self) -> list[tuple[int, Any]]:
        """The workers that have work, with the samples that each is at."""
        return [(w.id, next(iter(w.tasks.values()))) for w in self._workers if w.tasks]

    def restart(self) -> None:
        """Start a new pass: drop what the workers still have, and wait until all are ready.

        Raises:
            RuntimeError: a worker died.
        """
        self._inbox.clear()
        for worker in self._workers:
            worker.post(Restart())
        waiting = len(self._workers)
        while waiting:
            waiting -= self.receive().kind == worker_side.READY
        for worker in self._workers:
            worker.tasks.clear()

    def dismiss(self, worker: int) -> None:
        """Let one worker leave."""
        self._workers[worker].dismiss()

    def close(self) -> None:
        """End all workers; those that do not leave within ``grace`` seconds are terminated."""
        if os.getpid() != self._owner:  # a forked copy of this object: not its processes
            return
        for worker in self._workers:
            worker.dismiss()
            worker.connection.close()
        deadline = time.monotonic() + self.grace
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
        for stop in ("terminate", "kill"):
            late = [worker.process for worker in self._workers if worker.process.is_alive()]
            for process in late:
                getattr(process, stop)()
            for process in late:
                process.join(_GRACE)
        self._workers.clear()
        self._inbox.clear()
