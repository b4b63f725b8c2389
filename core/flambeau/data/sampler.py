"""Samplers: in which order a loader visits a dataset.

For the same seed the orders equal PyTorch's: the same draws are made from the same generator at
the same moments.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import flambeau as fb

if TYPE_CHECKING:
    from flambeau import Generator

T_co = TypeVar("T_co", covariant=True)

# Draws with replacement are made this many at a time; part of the order that a seed gives.
_CHUNK = 32


def draw_seed(generator: Generator | None) -> int:
    """One non-negative int64 from the generator (the default one for ``None``)."""
    return int(fb.empty((), dtype=fb.int64).random_(generator=generator).item())


def _check_count(value: Any, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")


class Sampler(Generic[T_co]):
    """Base of all samplers: ``__iter__`` gives indices, or lists of indices for a batch sampler.

    ``__len__`` is wanted only by those who ask for the length of a ``DataLoader``.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """``0, 1, .. len(data_source) - 1``."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random order.

    Args:
        data_source: what to sample from; its length counts.
        replacement: draw every index independently.
        num_samples: how many indices to give; the length of the source if ``None``.
        generator: source of the draws.  With ``None`` every iteration seeds a new one from the
            default generator.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        _check_count(self.num_samples, "num_samples")

    @property
    def num_samples(self) -> int:
        """How many indices an iteration gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        generator = self.generator
        if generator is None:
            seed = draw_seed(None)
            generator = fb.Generator()
            generator.manual_seed(seed)
        yield from self._draws(generator) if self.replacement else self._permutations(generator)

    def _draws(self, generator: Generator) -> Iterator[int]:
        # Even an empty last chunk is asked for, as in PyTorch; it consumes nothing.
        whole, rest = divmod(self.num_samples, _CHUNK)
        for count in [_CHUNK] * whole + [rest]:
            drawn = fb.randint(
                0, len(self.data_source), (count,), dtype=fb.int64, generator=generator
            )
            yield from drawn.tolist()

    def _permutations(self, generator: Generator) -> Iterator[int]:
        # The last permutation is drawn even if nothing of it is used: the generator moves on.
        length = len(self.data_source)
        whole, rest = divmod(self.num_samples, length)
        for count in [length] * whole + [rest]:
            yield from fb.randperm(length, generator=generator).tolist()[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in a random order, without replacement."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for position in fb.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with given weights, which need not sum to 1.

    Args:
        weights: one non-negative weight per index (1-d).
        num_samples: how many to draw.
        replacement: whether an index can be drawn twice.
        generator: source of the draws.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _check_count(num_samples, "num_samples")
        if not isinstance(replacement, bool):
            raise ValueError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        self.weights = fb.as_tensor(weights, dtype=fb.float64)
        if self.weights.dim() != 1:
            raise ValueError(
                "weights should be a 1d sequence but given "
                f"weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = fb.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices of another sampler.

    Args:
        sampler: any iterable of indices.
        batch_size: indices per batch.
        drop_last: leave out a last batch that is not full.
    """

    def __init__(
        self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool
    ) -> None:
        _check_count(batch_size, "batch_size")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        total = len(self.sampler)  # type: ignore[arg-type]
        if self.drop_last:
            return total // self.batch_size
        return -(-total // self.batch_size)
