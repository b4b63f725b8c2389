"""Samplers.  The orders in here are PyTorch's for the same seeds."""

import pytest

import flambeau as fb
from flambeau.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def seeded(seed):
    generator = fb.Generator()
    generator.manual_seed(seed)
    return generator


def test_the_base_has_no_order():
    with pytest.raises(NotImplementedError):
        iter(Sampler())


def test_sequential():
    sampler = SequentialSampler("abcd")
    assert list(sampler) == [0, 1, 2, 3]
    assert len(sampler) == 4


def test_random_order_draws_a_new_seed_for_every_pass():
    fb.manual_seed(0)
    sampler = RandomSampler(range(10))
    assert list(sampler) == [6, 9, 0, 7, 3, 5, 4, 2, 1, 8]
    assert list(sampler) == [6, 7, 1, 4, 2, 0, 9, 8, 3, 5]


def test_random_with_replacement():
    fb.manual_seed(0)
    sampler = RandomSampler(range(5), replacement=True, num_samples=7)
    assert list(sampler) == [1, 0, 4, 3, 4, 0, 2]
    assert len(sampler) == 7


def test_more_samples_than_the_source_has():
    sampler = RandomSampler(range(4), num_samples=9, generator=seeded(7))
    assert list(sampler) == [3, 2, 0, 1, 2, 0, 3, 1, 3]


def test_subset_random():
    fb.manual_seed(0)
    sampler = SubsetRandomSampler([3, 1, 4, 15, 9])
    assert list(sampler) == [9, 3, 1, 15, 4]
    assert len(sampler) == 5


def test_weighted_random():
    fb.manual_seed(0)
    assert list(WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 5)) == [5, 4, 4, 5, 4]
    without = WeightedRandomSampler([0.9, 0.4, 0.05, 0.2, 0.3, 0.1], 5, replacement=False)
    assert list(without) == [1, 4, 0, 3, 5]


@pytest.mark.parametrize(
    ("drop_last", "batches"),
    [(False, [[0, 1, 2], [3, 4, 5], [6]]), (True, [[0, 1, 2], [3, 4, 5]])],
)
def test_batches(drop_last, batches):
    sampler = BatchSampler(SequentialSampler(range(7)), 3, drop_last)
    assert list(sampler) == batches
    assert len(sampler) == len(batches)


def test_batches_of_any_iterable():
    assert list(BatchSampler("abc", 2, False)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: RandomSampler([1], replacement=1), TypeError, "replacement=1"),
        (lambda: RandomSampler([]), ValueError, "num_samples=0"),
        (lambda: RandomSampler([1], num_samples=-1), ValueError, "num_samples=-1"),
        (lambda: WeightedRandomSampler([1.0], True), ValueError, "num_samples=True"),
        (lambda: WeightedRandomSampler([1.0], 1, 1), ValueError, "replacement=1"),
        (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, r"1d.*\(1, 1\)"),
        (lambda: BatchSampler([1], 0, False), ValueError, "batch_size=0"),
        (lambda: BatchSampler([1], 2.5, False), ValueError, "batch_size=2.5"),
        (lambda: BatchSampler([1], 2, None), ValueError, "drop_last=None"),
    ],
)
def test_arguments_that_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
