"""``DataLoader``: batches from a dataset, in order, with worker processes if wanted."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flambeau.data.collate import default_collate, default_convert
from flambeau.data.dataset import Dataset, IterableDataset
from flambeau.data.iterator import InProcessIterator, LoaderIterator, WorkerIterator
from flambeau.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from flambeau import Generator

T_co = TypeVar("T_co", covariant=True)

# What an iteration in progress relies on.
_FIXED = frozenset(
    {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}
)


class _Endless(Sampler[None]):
    """What drives a stream: requests without an index, until the stream ends."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(Generic[T_co]):
    """Iterates over a dataset in batches.

    Args:
        dataset: a ``Dataset`` (any object with ``__getitem__`` and ``__len__`` will do) or an
            ``IterableDataset``.
        batch_size: samples per batch; ``None`` gives single samples.
        shuffle: visit the dataset in a new random order every time.
        sampler: order of the samples, in place of ``shuffle``: any iterable of indices.
        batch_sampler: index lists, one per batch; in place of ``batch_size``, ``shuffle``,
            ``sampler`` and ``drop_last``.
        num_workers: processes that load batches; 0 loads in this process.
        collate_fn: from a list of samples to a batch; ``default_collate``, or
            ``default_convert`` when ``batch_size`` is ``None``.
        pin_memory: accepted for compatibility; warns that it has no effect.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch from workers; 0 waits for ever.
        worker_init_fn: called in every worker with its number, after seeding.
        multiprocessing_context: ``"fork"``, ``"spawn"``, ``"forkserver"`` or a context object.
        generator: source of the order and of the seeds of the workers.
        prefetch_factor: batches that every worker loads ahead (2).
        persistent_workers: keep the workers between passes.
        pin_memory_device: accepted for compatibility.
        in_order: return batches in the order of the sampler; with ``False``, as they come.

    A batch from a worker lies in memory shared with it, which is reused once nothing refers to
    the batch.  Within a worker ``get_worker_info()`` tells who it is.

    Iterating raises what the dataset raised, in a worker with the text of its traceback, and
    RuntimeError when a worker dies or ``timeout`` is over.
    """

    _is_set_up = False

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], object] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers)
        if isinstance(dataset, IterableDataset):
            _check_stream_options(shuffle, sampler, batch_sampler)
        _check_batch_options(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.generator = generator
        self.sampler = _default_sampler(dataset, shuffle, generator) if sampler is None else sampler
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler
        default = default_collate if self.is_batched else default_convert
        self.collate_fn = default if collate_fn is None else collate_fn
        self.persistent_workers = persistent_workers
        self.reported_length: int | None = None
        self._iterator: WorkerIterator | None = None
        self._is_set_up = True
        self.check_worker_number_rationality()

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_set_up and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> BaseContext | None:
        """How worker processes are started; ``None`` is the default of the system."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, value: str | BaseContext | None) -> None:
        if value is not None and self.num_workers == 0:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading "
                f"(num_workers > 0), but got num_workers={self.num_workers}"
            )
        self._context = None if value is None else _context_of(value)

    def process_context(self) -> BaseContext:
        """How worker processes are started."""
        import multiprocessing

        return self._context or multiprocessing.get_context()

    @property
    def is_batched(self) -> bool:
        """Whether samples are gathered into batches here."""
        return self.batch_sampler is not None

    @property
    def index_sampler(self) -> Any:
        """What gives the index, or list of indices, of every batch."""
        return self.batch_sampler if self.is_batched else self.sampler

    def __iter__(self) -> LoaderIterator:
        if self.num_workers == 0:
            return InProcessIterator(self)
        if not self.persistent_workers:
            return WorkerIterator(self)
        if self._iterator is not None and self._iterator.is_alive:
            self._iterator.restart(self)
        else:
            self._iterator = WorkerIterator(self)
        return self._iterator

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self.index_sampler)
        # An estimate: workers may each end with a batch that is not full.
        length = self.reported_length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warn when there are more workers than processors for them."""
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        available = available or os.cpu_count() or 1
        if self.num_workers > available:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total, but "
                f"this process may use only {available} processors: loading can become slower. "
                "Lower num_workers.",
                stacklevel=3,
            )


def _check_worker_options(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; "
            "use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. "
            "Let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(
            "prefetch_factor option should be at least 1, "
            f"but got prefetch_factor={prefetch_factor}"
        )
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream_options(shuffle: bool | None, sampler: Any, batch_sampler: Any) -> None:
    expected = "DataLoader with IterableDataset: expected unspecified"
    if shuffle:
        raise ValueError(f"{expected} shuffle option, but got shuffle={shuffle}")
    if sampler is not None:
        raise ValueError(f"{expected} sampler option, but got sampler={sampler}")
    if batch_sampler is not None:
        raise ValueError(f"{expected} batch_sampler option, but got batch_sampler={batch_sampler}")


def _check_batch_options(
    batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        raise ValueError(
            "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
            "and drop_last"
        )
    if batch_sampler is None and batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


def _default_sampler(
    dataset: Any, shuffle: bool | None, generator: Generator | None
) -> Sampler[Any]:
    if isinstance(dataset, IterableDataset):
        return _Endless()
    return RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)


def _context_of(value: str | BaseContext) -> BaseContext:
    import multiprocessing
    from multiprocessing.context import BaseContext

    if isinstance(value, str):
        methods = multiprocessing.get_all_start_methods()
        if value not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods}, "
                f"but got multiprocessing_context={value!r}"
            )
        return multiprocessing.get_context(value)
    if not isinstance(value, BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={value}"
        )
    return value
