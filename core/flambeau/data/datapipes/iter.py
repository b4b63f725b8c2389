"""Steps that give samples one after the other."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from flambeau.data.collate import default_collate
from flambeau.data.datapipes.chunk import DataChunk
from flambeau.data.datapipes.decorators import functional_datapipe
from flambeau.data.datapipes.pipe import IterDataPipe
from flambeau.data.sampler import draw_seed


def _length(source: Any) -> int:
    return len(source)


class IterableWrapper(IterDataPipe[Any]):
    """The items of any iterable, by default of a copy of it."""

    def __init__(self, iterable: Iterable[Any], deepcopy: bool = True) -> None:
        self.iterable, self.deepcopy = iterable, deepcopy

    def __iter__(self) -> Iterator[Any]:
        yield from copy.deepcopy(self.iterable) if self.deepcopy else self.iterable

    def __len__(self) -> int:
        return _length(self.iterable)


@functional_datapipe("map")
class Mapper(IterDataPipe[Any]):
    """A function of every sample; with ``input_col``, of that item (or those) of it.

    Args:
        input_col: a key or several; several are given as separate arguments.
        output_col: where the result goes in the sample; in place of the input by default, -1 for
            the end.
    """

    def __init__(
        self,
        datapipe: Iterable[Any],
        fn: Callable[..., Any],
        input_col: Any = None,
        output_col: Any = None,
    ) -> None:
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, (list, tuple)):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        self.datapipe, self.fn = datapipe, fn
        self.input_col, self.output_col = input_col, output_col

    def _mapped(self, sample: Any) -> Any:
        if self.input_col is None:
            return self.fn(sample)
        several = isinstance(self.input_col, (list, tuple))
        columns = self.input_col if several else (self.input_col,)
        result = self.fn(*(sample[column] for column in columns))
        items = list(sample) if isinstance(sample, tuple) else copy.copy(sample)
        if self.output_col == -1:
            items.append(result)
        elif self.output_col is not None:
            items[self.output_col] = result
        else:
            items[columns[0]] = result
            for column in sorted(columns[1:], reverse=True):
                del items[column]
        return tuple(items) if isinstance(sample, tuple) else items

    def __iter__(self) -> Iterator[Any]:
        return map(self._mapped, self.datapipe)

    def __len__(self) -> int:
        return _length(self.datapipe)


@functional_datapipe("collate")
class Collator(Mapper):
    """Batches as tensors."""

    def __init__(
        self, datapipe: Iterable[Any], collate_fn: Callable[..., Any] = default_collate
    ) -> None:
        super().__init__(datapipe, fn=collate_fn)


@functional_datapipe("filter")
class Filter(IterDataPipe[Any]):
    """The samples for which a function, of the sample or of an item of it, is true."""

    def __init__(
        self, datapipe: Iterable[Any], filter_fn: Callable[..., Any], input_col: Any = None
    ) -> None:
        self.datapipe, self.filter_fn, self.input_col = datapipe, filter_fn, input_col

    def __iter__(self) -> Iterator[Any]:
        column = self.input_col
        several = isinstance(column, (list, tuple))
        for sample in self.datapipe:
            given = (
                [sample]
                if column is None
                else [sample[c] for c in (column if several else [column])]
            )
            is_taken = self.filter_fn(*given)
            if not isinstance(is_taken, bool):
                raise ValueError(
                    f"Boolean output is required for `filter_fn` of Filter, got {type(is_taken)}"
                )
            if is_taken:
                yield sample


@functional_datapipe("batch")
class Batcher(IterDataPipe[DataChunk[Any]]):
    """Lists of ``batch_size`` samples; the last may be shorter."""

    def __init__(
        self,
        datapipe: Iterable[Any],
        batch_size: int,
        drop_last: bool = False,
        wrapper_class: Callable[[list[Any]], Any] = DataChunk,
    ) -> None:
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe, self.batch_size = datapipe, batch_size
        self.drop_last, self.wrapper_class = drop_last, wrapper_class

    def __iter__(self) -> Iterator[Any]:
        samples = iter(self.datapipe)
        while batch := list(itertools.islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.wrapper_class(batch)

    def __len__(self) -> int:
        whole, rest = divmod(_length(self.datapipe), self.batch_size)
        return whole + bool(rest and not self.drop_last)


@functional_datapipe("unbatch")
class UnBatcher(IterDataPipe[Any]):
    """The items of lists, ``unbatch_level`` deep; of all lists for -1."""

    def __init__(self, datapipe: Iterable[Any], unbatch_level: int = 1) -> None:
        if unbatch_level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        self.datapipe, self.unbatch_level = datapipe, unbatch_level

    def __iter__(self) -> Iterator[Any]:
        for sample in self.datapipe:
            yield from self._opened(sample, self.unbatch_level)

    def _opened(self, sample: Any, level: int) -> Iterator[Any]:
        if level == 0 or (level == -1 and not isinstance(sample, list)):
            yield sample
        elif isinstance(sample, list):
            for item in sample:
                yield from self._opened(item, level if level == -1 else level - 1)
        else:
            raise IndexError(
                f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe"
            )


@functional_datapipe("shuffle")
class Shuffler(IterDataPipe[Any]):
    """A random order, as far as a buffer of ``buffer_size`` samples reaches.

    The order of an iteration follows from ``set_seed``, or from the default generator; samples
    come in the order that PyTorch's would for the same seed.
    """

    def __init__(
        self, datapipe: Iterable[Any], *, buffer_size: int = 10000, unbatch_level: int = 0
    ) -> None:
        if buffer_size <= 0:
            raise ValueError("buffer_size should be larger than 0")
        self.datapipe = datapipe if unbatch_level == 0 else UnBatcher(datapipe, unbatch_level)
        self.buffer_size = buffer_size if unbatch_level == 0 else buffer_size * unbatch_level
        self._enabled = True
        self._seed: int | None = None
        self._random = random.Random()

    def set_shuffle(self, shuffle: bool = True) -> Shuffler:
        """Whether the order is random."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed: int) -> Shuffler:
        """Choose the order of the next iteration."""
        self._seed = seed
        return self

    def reset(self) -> None:
        """Seed the order of an iteration."""
        if self._enabled:
            self._random.seed(draw_seed(None) if self._seed is None else self._seed)
            self._seed = None

    def __iter__(self) -> Iterator[Any]:
        if not self._enabled:
            yield from self.datapipe
            return
        buffer: list[Any] = []
        for sample in self.datapipe:
            if len(buffer) == self.buffer_size:
                at = self._random.randint(0, len(buffer) - 1)
                yield buffer[at]
                buffer[at] = sample
            else:
                buffer.append(sample)
        while buffer:
            yield buffer.pop(self._random.randint(0, len(buffer) - 1))

    def __len__(self) -> int:
        return _length(self.datapipe)


@functional_datapipe("sharding_filter")
class ShardingFilter(IterDataPipe[Any]):
    """Every ``n``-th sample, once ``apply_sharding`` says of how many parts this is which."""

    def __init__(self, source_datapipe: Iterable[Any]) -> None:
        self.source_datapipe = source_datapipe
        self.num_of_instances, self.instance_id = 1, 0

    def apply_sharding(self, num_of_instances: int, instance_id: int) -> None:
        """Take part ``instance_id`` of ``num_of_instances``."""
        if not 0 <= instance_id < num_of_instances:
            raise ValueError(f"instance_id({instance_id}) should be in [0, {num_of_instances})")
        self.num_of_instances, self.instance_id = num_of_instances, instance_id

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(
            iter(self.source_datapipe), self.instance_id, None, self.num_of_instances
        )

    def __len__(self) -> int:
        whole, rest = divmod(_length(self.source_datapipe), self.num_of_instances)
        return whole + (self.instance_id < rest)


class _Several(IterDataPipe[Any]):
    """A step after several."""

    def __init__(self, *datapipes: Any) -> None:
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError("Expected all inputs to be `IterDataPipe`")
        self.datapipes: tuple[Sized, ...] = datapipes


@functional_datapipe("concat")
class Concater(_Several):
    """The samples of several steps, one step after the other."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datapipes)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return sum(map(len, self.datapipes))


@functional_datapipe("zip")
class Zipper(_Several):
    """Tuples of a sample of each step, as long as all have one."""

    def __iter__(self) -> Iterator[Any]:
        return zip(*self.datapipes, strict=False)

    def __len__(self) -> int:
        return min(map(len, self.datapipes))


@functional_datapipe("mux")
class Multiplexer(_Several):
    """A sample of each step in turn, until the first has no more."""

    def __iter__(self) -> Iterator[Any]:
        for samples in zip(*self.datapipes, strict=False):
            yield from samples

    def __len__(self) -> int:
        return min(map(len, self.datapipes)) * len(self.datapipes)
