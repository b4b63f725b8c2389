"""Reading samples from a dataset, one batch at a time, in whichever process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.data import assemble
from flambeau.data.collate import default_collate, stacks_tensors
from flambeau.data.dataset import IterableDataset, TensorDataset

Fetch = Callable[[Any], Any]
"""From the indices of a batch to the batch.  Raises StopIteration at the end of a stream."""


def fetcher_for(
    dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool
) -> Fetch:
    """The way to read this dataset.

    Args:
        dataset: a map from indices, or a stream (its iterator is made here).
        batched: whether a request names a list of samples or a single one.
        collate_fn: from samples to a batch.
        drop_last: whether a stream's last batch must be full.
    """
    if isinstance(dataset, IterableDataset):
        return _StreamFetcher(dataset, batched, collate_fn, drop_last)
    if batched and type(dataset) is TensorDataset and stacks_tensors(collate_fn):
        return lambda index: _rows(dataset, index)

    def fetch(index: Any) -> Any:
        if not batched:
            return collate_fn(dataset[index])
        if getattr(dataset, "__getitems__", None):
            return collate_fn(dataset.__getitems__(index))
        return collate_fn([dataset[i] for i in index])

    return fetch


def _rows(dataset: TensorDataset, index: list[Any]) -> list[Any]:
    """The same batch as of single samples, taken from the tensors at once where that can be."""
    if all(type(i) is int for i in index):
        taken = [assemble.rows(tensor, index) for tensor in dataset.tensors]
        if all(part is not None for part in taken):
            return taken
    collated: list[Any] = default_collate([dataset[i] for i in index])
    return collated


class _StreamFetcher:
    """Takes as many samples from the stream as the request has indices."""

    def __init__(
        self, dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool
    ) -> None:
        self._samples = iter(dataset)
        self._batched, self._collate, self._drop_last = batched, collate_fn, drop_last
        self._ended = False

    def __call__(self, index: Any) -> Any:
        if self._ended:
            raise StopIteration
        if not self._batched:
            return self._collate(next(self._samples))
        samples: list[Any] = []
        for _ in index:
            try:
                samples.append(next(self._samples))
            except StopIteration:
                self._ended = True
                break
        if not samples or (self._drop_last and len(samples) < len(index)):
            raise StopIteration
        return self._collate(samples)
