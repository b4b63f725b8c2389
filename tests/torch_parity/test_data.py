"""DataLoader against torch's: orders, batches and seeds for the same seed."""

import random

import numpy as np
import pytest

import flambeau as fb
from flambeau import data

torch = pytest.importorskip("torch")
torch_data = pytest.importorskip("torch.utils.data")

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


def plain(value):
    """Tensors as lists, so that both sides can be compared."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def both(make, seed=0):
    """What ``make(library, data module)`` gives with flambeau and with torch."""
    results = []
    for library, module in ((fb, data), (torch, torch_data)):
        library.manual_seed(seed)
        results.append([plain(item) for item in make(library, module)])
        results[-1].append(library.rand(2).tolist())  # both streams are at the same place
    return results


def dataset_of(module, length):
    class Rows(module.Dataset):
        def __len__(self):
            return length

        def __getitem__(self, index):
            return {"x": np.full(3, index, np.float32), "y": index, "z": (float(index), "t")}

    return Rows()


SAMPLERS = {
    "random": lambda m, n, g: m.RandomSampler(range(n), generator=g),
    "with replacement": lambda m, n, g: m.RandomSampler(range(n), True, 70, generator=g),
    "more than there are": lambda m, n, g: m.RandomSampler(range(n), False, 2 * n + 3, generator=g),
    "subset": lambda m, n, g: m.SubsetRandomSampler(range(5, 5 + n), generator=g),
    "weighted": lambda m, n, g: m.WeightedRandomSampler(
        [1 + i % 3 for i in range(n)], 9, True, generator=g
    ),
    "weighted, no replacement": lambda m, n, g: m.WeightedRandomSampler(
        [1 + i % 3 for i in range(n)], 5, False, generator=g
    ),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("length", [7, 64])
@pytest.mark.parametrize("own_generator", [False, True])
def test_samplers(name, length, own_generator):
    def make(library, module):
        generator = library.Generator() if own_generator else None
        if generator is not None:
            generator.manual_seed(11)
        sampler = SAMPLERS[name](module, length, generator)
        return [list(sampler), list(sampler), len(sampler)]

    ours, theirs = both(make)
    assert ours == theirs


@pytest.mark.parametrize("lengths", [[7, 3], [0.5, 0.25, 0.25], [1.0]])
def test_random_split(lengths):
    ours, theirs = both(lambda _, m: [list(p.indices) for p in m.random_split(range(10), lengths)])
    assert ours == theirs


class Eager:
    """A sampler that draws as soon as it is asked for an iterator."""

    def __init__(self, library):
        self.library = library

    def __iter__(self):
        return iter(self.library.randperm(9).tolist())

    def __len__(self):
        return 9


OPTIONS = {
    "plain": {"batch_size": 4},
    "shuffled": {"batch_size": 4, "shuffle": True},
    "drop last": {"batch_size": 4, "shuffle": True, "drop_last": True},
    "no batches": {"batch_size": None},
    "eager sampler": {"batch_size": 2, "sampler": Eager},
    "eager sampler, no batches": {"batch_size": None, "sampler": Eager},
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", OPTIONS)
def test_loaders(name, workers):
    def make(library, module):
        options = dict(OPTIONS[name])
        if "sampler" in options:
            options["sampler"] = options["sampler"](library)
        loader = module.DataLoader(dataset_of(module, 9), num_workers=workers, **options)
        return [list(loader), list(loader), len(loader)]

    ours, theirs = both(make)
    assert ours == theirs


def test_persistent_workers():
    def make(library, module):
        loader = module.DataLoader(
            dataset_of(module, 9), 2, shuffle=True, num_workers=2, persistent_workers=True
        )
        return [list(loader) for _ in range(3)]

    ours, theirs = both(make)
    assert ours == theirs


def test_seeds_in_workers():
    def make(library, module):
        class Draws(module.Dataset):
            def __len__(self):
                return 4

            def __getitem__(self, index):
                info = module.get_worker_info()
                return (
                    library.initial_seed(), info.seed, info.id,
                    random.random(), np.random.rand(), library.rand(()).item(),
                )  # fmt: skip

        return list(module.DataLoader(Draws(), batch_size=None, num_workers=2))

    ours, theirs = both(make)
    assert ours == theirs


def test_streams_with_workers():
    def make(library, module):
        class Stream(module.IterableDataset):
            def __iter__(self):
                info = module.get_worker_info()
                return iter(range(info.id, 11, info.num_workers))

        return list(module.DataLoader(Stream(), batch_size=2, num_workers=2))

    ours, theirs = both(make)
    assert ours == theirs


BATCHES = [
    [1, 2],
    [1.5, 2.5],
    [True, False],
    [np.float32(1), np.float32(2)],
    [np.float64(1)] * 2,
    [np.int16(1)] * 2,
    [np.ones((2, 2), np.uint8)] * 2,
    [{"a": 1, "b": [1.0, "t"]}] * 3,
    [(1, (2, 3.0))] * 2,
    [range(3)] * 2,
    ["a", "b"],
]


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_collate(batch):
    def leaves(value):
        if hasattr(value, "dtype"):
            yield str(value.dtype).rpartition(".")[2]
        elif isinstance(value, dict):
            for item in value.values():
                yield from leaves(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from leaves(item)
        else:
            yield type(value)

    ours, theirs = data.default_collate(batch), torch_data.default_collate(batch)
    assert type(plain(ours)) is type(plain(theirs))
    assert plain(ours) == plain(theirs)
    assert list(leaves(ours)) == list(leaves(theirs))
