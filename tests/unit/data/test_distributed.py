"""The part of a dataset that one of several processes visits: PyTorch's orders."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from flambeau.data import DataLoader, DistributedSampler

CASES = list(itertools.product((0, 1, 2, 10, 11), (1, 2, 3), (True, False), (True, False)))


@pytest.mark.parametrize(("length", "replicas", "shuffle", "drop_last"), CASES)
def test_orders_are_pytorchs(length: int, replicas: int, shuffle: bool, drop_last: bool) -> None:
    torch = pytest.importorskip("torch")
    if length == 0:
        assert list(DistributedSampler([], replicas, 0)) == []
        return
    for rank in range(replicas):
        ours, theirs = (
            kind(range(length), replicas, rank, shuffle, 3, drop_last)
            for kind in (DistributedSampler, torch.utils.data.DistributedSampler)
        )
        for epoch in (0, 4):
            ours.set_epoch(epoch)
            theirs.set_epoch(epoch)
            assert list(ours) == list(theirs)
        assert len(ours) == len(theirs) == len(list(ours))


def test_replicas_visit_all_once() -> None:
    parts = [list(DistributedSampler(range(12), 3, rank)) for rank in range(3)]
    assert sorted(itertools.chain(*parts)) == list(range(12))


def test_a_loader_takes_it() -> None:
    items: list[Any] = [float(i) for i in range(6)]
    sampler = DistributedSampler(items, 2, 1, shuffle=False)
    batches = [batch.tolist() for batch in DataLoader(items, batch_size=2, sampler=sampler)]
    assert batches == [[1.0, 3.0], [5.0]]


def test_ranks_outside_are_refused() -> None:
    for rank in (-1, 2):
        with pytest.raises(ValueError, match="rank should be in the interval"):
            DistributedSampler(range(4), 2, rank)
