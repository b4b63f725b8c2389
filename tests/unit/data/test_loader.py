"""DataLoader in this process; tests/integration/test_data_workers.py has the worker processes."""

import gc
import weakref

import numpy as np
import pytest

import flambeau as fb
from flambeau.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    TensorDataset,
    get_worker_info,
)


class Stream(IterableDataset):
    def __init__(self, length, claimed=None):
        self.length, self.claimed = length, claimed

    def __iter__(self):
        return iter(range(self.length))

    def __len__(self):
        return self.length if self.claimed is None else self.claimed


def lists(loader):
    return [batch.tolist() for batch in loader]


def test_batches_in_order():
    loader = DataLoader(range(7), batch_size=3)
    assert lists(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert lists(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3


def test_drop_last():
    loader = DataLoader(range(7), batch_size=3, drop_last=True)
    assert lists(loader) == [[0, 1, 2], [3, 4, 5]]
    assert len(loader) == 2


def test_samples_one_by_one():
    loader = DataLoader([np.zeros(2), np.ones(2)], batch_size=None)
    assert [sample.tolist() for sample in loader] == [[0.0, 0.0], [1.0, 1.0]]
    assert len(loader) == 2


def test_tensor_dataset():
    dataset = TensorDataset(fb.arange(10).view(5, 2), fb.arange(5))
    images, labels = next(iter(DataLoader(dataset, batch_size=4)))
    assert images.shape == (4, 2)
    assert labels.tolist() == [0, 1, 2, 3]


def test_shuffled_order_is_that_of_pytorch():
    fb.manual_seed(0)
    loader = DataLoader(range(10), batch_size=4, shuffle=True, collate_fn=list)
    assert list(loader) == [[6, 7, 1, 4], [2, 0, 9, 8], [3, 5]]
    assert list(loader) == [[2, 4, 7, 0], [8, 9, 5, 3], [6, 1]]


def test_generator_gives_order_and_seeds():
    generator = fb.Generator()
    generator.manual_seed(3)
    loader = DataLoader(range(10), batch_size=4, shuffle=True, collate_fn=list, generator=generator)
    assert list(loader) == [[7, 4, 2, 9], [1, 5, 0, 8], [6, 3]]


def test_sampler_and_batch_sampler():
    assert lists(DataLoader(range(5), batch_size=2, sampler=[4, 0, 2])) == [[4, 0], [2]]
    batches = BatchSampler(SequentialSampler(range(5)), 4, True)
    loader = DataLoader(range(5), batch_sampler=batches)
    assert lists(loader) == [[0, 1, 2, 3]]
    assert loader.batch_size is None
    assert len(loader) == 1


def test_getitems_is_preferred():
    class Bulk(Dataset):
        def __len__(self):
            return 4

        def __getitems__(self, indices):
            return [10 * i for i in indices]

    assert lists(DataLoader(Bulk(), batch_size=2)) == [[0, 10], [20, 30]]


def test_streams():
    assert lists(DataLoader(Stream(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert lists(DataLoader(Stream(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    assert len(DataLoader(Stream(5), batch_size=2)) == 3
    assert len(DataLoader(Stream(5), batch_size=2, drop_last=True)) == 2
    assert len(DataLoader(Stream(5), batch_size=None)) == 5


def test_a_stream_that_is_longer_than_it_says():
    loader = DataLoader(Stream(4, claimed=2), batch_size=None)
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="reported to be 2.* 3 samples"):
        assert next(iter_from(loader, 2)) == 2


def iter_from(loader, start):
    iterator = iter(loader)
    for _ in range(start):
        next(iterator)
    return iterator


def test_there_is_no_worker_here():
    assert get_worker_info() is None


def test_an_error_of_the_dataset_is_itself():
    with pytest.raises(IndexError, match="range"):
        list(DataLoader(range(3), sampler=[5]))


def test_an_iterator_is_one_pass():
    iterator = iter(DataLoader(range(3)))
    assert iter(iterator) is iterator
    assert len(iterator) == 3
    assert len(list(iterator)) == 3
    assert list(iterator) == []
    with pytest.raises(NotImplementedError, match="cannot be pickled"):
        iterator.__getstate__()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_workers": -1}, "num_workers=0 to disable"),
        ({"timeout": -1}, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor option could only"),
        ({"prefetch_factor": 0, "num_workers": 1}, "prefetch_factor=0"),
        ({"persistent_workers": True}, "needs num_workers > 0"),
        ({"sampler": [0], "shuffle": True}, "sampler option is mutually exclusive"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually"),
        ({"batch_sampler": [[0]], "shuffle": True}, "batch_sampler option is mutually"),
        ({"batch_sampler": [[0]], "sampler": []}, "batch_sampler option is mutually"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler option is mutually"),
        ({"batch_size": None, "drop_last": True}, "batch_size=None option"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"multiprocessing_context": "fork"}, "num_workers=0"),
        ({"multiprocessing_context": "thread", "num_workers": 1}, "'thread'"),
    ],
)
def test_options_that_contradict(options, words):
    with pytest.raises(ValueError, match=words):
        DataLoader(range(3), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shuffle": True}, "shuffle=True"),
        ({"sampler": [0]}, r"sampler=\[0\]"),
        ({"batch_sampler": [[0]]}, r"batch_sampler=\[\[0\]\]"),
    ],
)
def test_options_that_a_stream_cannot_have(options, words):
    with pytest.raises(ValueError, match=words):
        DataLoader(Stream(3), **options)


def test_context_of_a_wrong_type():
    with pytest.raises(TypeError, match="multiprocessing_context=3"):
        DataLoader(range(3), num_workers=1, multiprocessing_context=3)


@pytest.mark.parametrize("name", ["batch_size", "dataset", "sampler", "drop_last"])
def test_what_cannot_change_later(name):
    loader = DataLoader(range(3))
    with pytest.raises(ValueError, match=f"{name} attribute should not be set"):
        setattr(loader, name, 2)


def test_defaults():
    loader = DataLoader(range(3))
    assert (loader.batch_size, loader.num_workers, loader.prefetch_factor) == (1, 0, None)
    assert loader.collate_fn is fb.data.default_collate
    assert DataLoader(range(3), batch_size=None).collate_fn is fb.data.default_convert
    assert DataLoader(range(3), num_workers=1).prefetch_factor == 2


def test_too_many_workers_are_mentioned():
    with pytest.warns(UserWarning, match="10000 worker processes"):
        DataLoader(range(3), num_workers=10_000)


def test_pinned_memory_is_accepted_with_a_warning():
    with pytest.warns(UserWarning, match="pin_memory=True has no effect"):
        assert lists(DataLoader(range(2), pin_memory=True)) == [[0], [1]]


def test_an_iterator_does_not_keep_its_loader():
    loader = DataLoader(range(3))
    seen = weakref.ref(loader)
    iterator = iter(loader)
    gc.disable()
    try:
        del loader
        assert seen() is None
    finally:
        gc.enable()
    assert len(list(iterator)) == 3
