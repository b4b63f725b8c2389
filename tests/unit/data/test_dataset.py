"""Datasets and the ways to combine them."""

import pytest

import flambeau as fb
from flambeau.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Letters(Dataset):
    def __init__(self, text):
        self.text = text

    def __getitem__(self, index):
        return self.text[index]

    def __len__(self):
        return len(self.text)


class Bulk(Letters):
    """Knows how to give many samples at once."""

    def __getitems__(self, indices):
        return [self.text[i].upper() for i in indices]


class Stream(IterableDataset):
    def __init__(self, *items):
        self.items = items

    def __iter__(self):
        return iter(self.items)

    def __len__(self):
        return len(self.items)


def test_a_dataset_must_define_getitem():
    with pytest.raises(NotImplementedError, match="should implement __getitem__"):
        Dataset()[0]


def test_tensor_dataset_gives_rows():
    images, labels = fb.arange(6).view(3, 2), fb.tensor([7, 8, 9])
    dataset = TensorDataset(images, labels)
    image, label = dataset[1]
    assert len(dataset) == 3
    assert image.tolist() == [2, 3]
    assert label.item() == 8


def test_tensor_dataset_names_lengths_that_differ():
    with pytest.raises(AssertionError, match=r"Size mismatch.*\[3, 2\]"):
        TensorDataset(fb.zeros(3), fb.zeros(2))


def test_stack_dataset_by_position_and_by_keyword():
    a, b = Letters("abc"), Letters("xyz")
    assert StackDataset(a, b)[1] == ("b", "y")
    assert StackDataset(first=a, second=b)[2] == {"first": "c", "second": "z"}
    assert len(StackDataset(a, b)) == 3


def test_stack_dataset_asks_members_for_many_at_once():
    assert StackDataset(Bulk("abc"), Letters("xyz")).__getitems__([0, 2]) == [
        ("A", "x"),
        ("C", "z"),
    ]
    assert StackDataset(k=Bulk("abc")).__getitems__([1]) == [{"k": "B"}]


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "At least one dataset"),
        ((Letters("a"),), {"k": Letters("a")}, "not both"),
        ((Letters("a"), Letters("ab")), {}, r"Size mismatch.*\[1, 2\]"),
    ],
)
def test_stack_dataset_refuses(args, kwargs, words):
    with pytest.raises(ValueError, match=words):
        StackDataset(*args, **kwargs)


def test_stack_dataset_notices_a_short_answer():
    class Short(Letters):
        def __getitems__(self, indices):
            return []

    with pytest.raises(ValueError, match="Expected 2, got 0"):
        StackDataset(Short("abc")).__getitems__([0, 1])


def test_concat_dataset_finds_the_member():
    both = Letters("abc") + Letters("de")
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(5)] == list("abcde")
    assert both[-1] == "e"
    assert both[-5] == "a"
    assert both.cumulative_sizes == [3, 5]


def test_concat_dataset_refuses():
    with pytest.raises(AssertionError, match="empty"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="IterableDataset"):
        ConcatDataset([Stream(1)])
    with pytest.raises(ValueError, match="absolute value of index"):
        (Letters("abc") + Letters("de"))[-6]


def test_chain_dataset_joins_streams():
    chain = Stream(1, 2) + Stream(3)
    assert isinstance(chain, ChainDataset)
    assert list(chain) == [1, 2, 3]
    assert len(chain) == 3
    with pytest.raises(AssertionError, match="only supports IterableDataset"):
        list(ChainDataset([Letters("a")]))


def test_subset_maps_indices():
    subset = Subset(Letters("abcdef"), [5, 0, 3])
    assert [subset[i] for i in range(3)] == ["f", "a", "d"]
    assert len(subset) == 3
    assert subset.__getitems__([2, 0]) == ["d", "f"]
    assert Subset(Bulk("abcdef"), [5, 0]).__getitems__([0]) == ["F"]


def test_subset_with_half_an_override_is_refused():
    class Loud(Subset):
        def __getitem__(self, index):
            return super().__getitem__(index).upper()

    with pytest.raises(NotImplementedError, match="__getitems__"):
        Loud(Letters("ab"), [0])


def test_random_split_by_length_is_a_permutation():
    parts = random_split(Letters("abcdefghij"), [7, 3])
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(parts[0].indices + parts[1].indices) == list(range(10))


def test_random_split_gives_the_permutation_of_pytorch():
    fb.manual_seed(0)
    parts = random_split(Letters("abcdefghij"), [0.5, 0.3, 0.2])
    assert [part.indices for part in parts] == [[4, 1, 7, 5, 3], [9, 0, 8], [6, 2]]


def test_random_split_spreads_what_rounding_leaves():
    parts = random_split(Letters("abcdefghijk"), [1 / 3, 1 / 3, 1 / 3])
    assert [len(part) for part in parts] == [4, 4, 3]


def test_random_split_takes_a_generator():
    one, two = fb.Generator(), fb.Generator()
    one.manual_seed(5)
    two.manual_seed(5)
    splits = [random_split(Letters("abcdef"), [4, 2], generator=g) for g in (one, two)]
    assert [p.indices for p in splits[0]] == [p.indices for p in splits[1]]


def test_random_split_refuses():
    with pytest.raises(ValueError, match="sum to 9, the dataset has 10"):
        random_split(Letters("abcdefghij"), [6, 3])
    with pytest.raises(ValueError, match="index 0 is not between 0 and 1"):
        random_split(Letters("abc"), [1.5, -0.5])
    with pytest.warns(UserWarning, match="index 1 is 0"):
        random_split(Letters("ab"), [0.999, 0.001])
