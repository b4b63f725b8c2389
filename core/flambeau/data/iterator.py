"""Iterating over a ``DataLoader``: in this process, or with worker processes."""

from __future__ import annotations

import itertools
import pickle
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flambeau.data import worker as worker_side
from flambeau.data.failure import describe_indices
from flambeau.data.fetch import fetcher_for
from flambeau.data.sampler import draw_seed
from flambeau.data.worker import Job

if TYPE_CHECKING:
    from flambeau.data.loader import DataLoader

# Seconds that workers get to finish when the iteration is over for a reason that cannot wait.
_SHORT_GRACE = 0.5


class Watch:
    """Who wants to see batches as they are made, while they want to: the profiler."""

    next: Callable[[Any], Any] | None = None


class LoaderIterator:
    """One pass over a loader: ``next`` gives batches."""

    # The iterator does not refer to its loader, which may hold on to the iterator: without the
    # cycle, worker processes end as soon as nobody uses them.

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._dataset = loader.dataset
        self._sampler = loader.index_sampler
        self._num_workers = loader.num_workers
        # Before the seed, as in PyTorch: a sampler may draw when it is asked for an iterator.
        self._indices: Iterator[Any] = iter(self._sampler)
        self._base_seed = draw_seed(loader.generator)
        self._yielded = 0
        self._reported_length = loader.reported_length
        if loader.pin_memory:
            warnings.warn(
                "pin_memory=True has no effect: no device with pinned host memory is in use.",
                stacklevel=4,
            )

    def __iter__(self) -> LoaderIterator:
        return self

    def __len__(self) -> int:
        return len(self._sampler)

    def __next__(self) -> Any:
        batch = self._next_batch() if Watch.next is None else Watch.next(self)
        self._yielded += 1
        self._check_length()
        return batch

    def _next_batch(self) -> Any:
        raise NotImplementedError

    def _check_length(self) -> None:
        reported = self._reported_length
        if reported is None or self._yielded <= reported:
            return
        advice = ""
        if self._num_workers > 0:
            advice = (
                " Each worker process iterates over its own copy of the dataset: give every copy "
                "its share with get_worker_info()."
            )
        warnings.warn(
            f"Length of IterableDataset {self._dataset} was reported to be {reported} "
            f"(when accessing len(dataloader)), but {self._yielded} samples have been fetched."
            + advice,
            stacklevel=3,
        )

    def __getstate__(self) -> object:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class InProcessIterator(LoaderIterator):
    """Reads the dataset in this process (``num_workers=0``)."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._fetch = fetcher_for(
            loader.dataset, loader.is_batched, loader.collate_fn, loader.drop_last
        )

    def _next_batch(self) -> Any:
        return self._fetch(next(self._indices))


class WorkerIterator(LoaderIterator):
    """Hands index lists to worker processes in turn and returns their batches in order.

    Task ``i`` is the ``i``-th list of indices.  Every worker has at most about
    ``prefetch_factor`` tasks ahead.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        from flambeau.data.pool import WorkerPool

        assert loader.prefetch_factor is not None
        self._ahead = loader.prefetch_factor * loader.num_workers
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._is_persistent = loader.persistent_workers
        jobs = [
            Job(
                loader.dataset,
                loader.is_batched,
                loader.collate_fn,
                loader.drop_last,
                loader.worker_init_fn,
                self._base_seed,
                worker,
                loader.num_workers,
            )
            for worker in range(loader.num_workers)
        ]
        try:
            self._pool = WorkerPool(loader.process_context(), jobs)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            error.add_note(
                "The start method of the worker processes pickles the dataset, collate_fn and "
                "worker_init_fn: define them at module level, or use "
                "multiprocessing_context='fork' where the system has it."
            )
            raise
        self.close = weakref.finalize(self, self._pool.close)
        self._begin()

    def _begin(self) -> None:
        # Also in the first pass, so that a sampler is asked as often as in PyTorch.
        self._indices = iter(self._sampler)
        self._yielded = 0
        self._sent = 0  # tasks handed out so far
        self._next = 0  # the task whose batch is due
        self._owner: dict[int, int] = {}  # the worker of every task whose batch is not delivered
        self._arrived: dict[int, Any] = {}  # batches that came before their turn
        self._outstanding = 0
        self._load = [0] * self._num_workers
        self._active = [True] * self._num_workers
        self._turns = itertools.cycle(range(self._num_workers))
        for _ in range(self._ahead):
            self._hand_out()

    @property
    def is_alive(self) -> bool:
        """Whether the workers are still there for another pass."""
        return self.close.alive

    def restart(self, loader: DataLoader[Any]) -> None:
        """Begin another pass with the same workers."""
        self._reported_length = loader.reported_length
        try:
            self._pool.restart()
        except BaseException:
            self._abandon()
            raise
        self._begin()

    def _hand_out(self) -> None:
        """Give the next list of indices to the next worker that takes part."""
        try:
            samples = next(self._indices)
        except StopIteration:
            return
        worker = self._next_worker()
        if worker is None:
            return
        self._owner[self._sent] = worker
        self._load[worker] += 1
        self._outstanding += 1
        self._pool.send(worker, self._sent, samples)
        self._sent += 1

    def _next_worker(self) -> int | None:
        # Without order, a slow worker is passed over while it has its share of tasks ahead.
        share = self._ahead // max(1, sum(self._active))
        for worker in itertools.islice(self._turns, self._num_workers):
            if self._active[worker] and (self._in_order or self._load[worker] < share):
                return worker
        return None

    def _next_batch(self) -> Any:
        if not self.is_alive:
            raise StopIteration
        while self._find_due():
            if self._next in self._arrived:
                return self._deliver(self._next, self._arrived.pop(self._next))
            event = self._receive()
            self._outstanding -= 1
            if event.kind == worker_side.END:
                self._retire(event.worker)
                self._hand_out()
            elif event.task == self._next or not self._in_order:
                return self._deliver(event.task, event)
            else:
                self._arrived[event.task] = event
        if not self._is_persistent:
            self.close()
        raise StopIteration

    def _find_due(self) -> bool:
        """Move on to the next task that has or will have a batch; false if there is none."""
        while self._next < self._sent:
            worker = self._owner.get(self._next)
            if worker is not None and (self._next in self._arrived or self._active[worker]):
                return True
            self._owner.pop(self._next, None)  # its worker's stream had ended before
            self._next += 1
        return False

    def _receive(self) -> Any:
        try:
            return self._pool.receive(self._timeout or None)
        except TimeoutError:
            self._pool.grace = _SHORT_GRACE  # who did not answer in time may never do
            waited_for = [
                f"worker {worker}: {describe_indices(samples)}"
                for worker, samples in self._pool.busy()
            ]
            raise RuntimeError(
                f"DataLoader timed out after {self._timeout} seconds; at work on "
                f"{'; '.join(waited_for)}"
            ) from None
        except BaseException:
            self._abandon()
            raise

    def _deliver(self, index: int, event: Any) -> Any:
        self._load[self._owner.pop(index)] -= 1
        if index == self._next:
            self._next += 1
        self._hand_out()
        if event.kind == worker_side.ERROR:
            event.value.reraise()
        return event.value

    def _retire(self, worker: int) -> None:
        self._active[worker] = False
        if not self._is_persistent:
            self._pool.dismiss(worker)

    def _abandon(self) -> None:
        """Stop at once: a worker died or the user interrupted."""
        self._pool.grace = _SHORT_GRACE
        self.close()
