"""The part of a dataset that one of several processes visits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any

import flambeau as fb
from flambeau.data.sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Every ``num_replicas``-th index, from ``rank`` on; all replicas have equally many.

    For the same seed and epoch the order equals PyTorch's.

    Args:
        dataset: what to sample from; its length counts.
        num_replicas: how many processes share it; those of the default group by default.
        rank: which of them this is; that in the default group by default.
        shuffle: whether the order is random, and another one for every epoch that is set.
        seed: of the order; the same in all processes.
        drop_last: leave out what does not divide by the number of replicas; else the first
            indices are visited twice.

    Raises:
        RuntimeError: without ``num_replicas`` or ``rank`` and without a group of processes.
        ValueError: for a rank outside of [0, num_replicas).
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None:
            num_replicas = int(_group().get_world_size())
        if rank is None:
            rank = int(_group().get_rank())
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.epoch, self.drop_last, self.shuffle, self.seed = 0, drop_last, shuffle, seed
        length = len(dataset)
        whole = length // num_replicas if drop_last else math.ceil(length / num_replicas)
        self.num_samples = whole
        self.total_size = whole * num_replicas

    def __iter__(self) -> Iterator[int]:
        length = len(self.dataset)
        indices = list(range(length))
        if self.shuffle:
            generator = fb.Generator()
            generator.manual_seed(self.seed + self.epoch)
            indices = fb.randperm(length, generator=generator).tolist()
        if not self.drop_last and indices:
            times = math.ceil(self.total_size / length)
            indices = indices * times
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; call it before each, or all have the same."""
        self.epoch = epoch


def _group() -> Any:
    """What knows the group of processes."""
    try:
        from flambeau import distributed  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        distributed = None  # type: ignore[assignment, unused-ignore]
    if distributed is None or not distributed.is_available():
        raise RuntimeError(
            "Requires distributed package to be available: give num_replicas and rank"
        )
    return distributed
