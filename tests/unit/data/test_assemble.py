"""Batches in one pass: the same as by ``stack`` and indexing, or declined."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import data, modes
from flambeau.data import DataLoader, TensorDataset, assemble
from flambeau.data.collate import default_collate_fn_map


class Special(fb.Tensor):
    pass


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (4, 5)])
@pytest.mark.parametrize("dtype", [fb.float32, fb.int64, fb.bool, fb.bfloat16])
def test_stack(shape, dtype):
    batch = [fb.full(shape, float(i)).to(dtype) for i in range(3)]
    out = assemble.stack(batch)
    assert out.dtype is dtype
    assert out.tolist() == fb.stack(batch).tolist()


def test_stack_of_views_copies():
    source = fb.arange(12).view(3, 4)
    out = assemble.stack([source[:, 1], source[:, 3]])
    assert out.tolist() == [[1, 5, 9], [3, 7, 11]]
    out += 1
    assert source[0, 1].item() == 1


@pytest.mark.parametrize(
    "batch",
    [
        [fb.zeros(2), fb.zeros(3)],
        [fb.zeros(2), fb.zeros(2).to(fb.float64)],
        [fb.zeros(2), fb.zeros(2, requires_grad=True)],
        [fb.zeros(2).as_subclass(Special)],
        [fb.zeros(2, device="meta")],
    ],
)
def test_what_is_not_plain_is_declined(batch):
    assert assemble.stack(batch) is None


def test_a_mode_sees_the_calls():
    class Watch(modes.DispatchMode):
        def handle(self, op, args):
            return NotImplemented

    with Watch():
        assert assemble.stack([fb.zeros(2)]) is None
        assert assemble.rows(fb.zeros(2), [0]) is None


@pytest.mark.parametrize("indices", [[0], [2, 0, 0], [-1, -3, 1], []])
def test_rows(indices):
    for tensor in (fb.arange(12).view(3, 4), fb.arange(12).view(4, 3).t()):
        out = assemble.rows(tensor, indices)
        assert out.tolist() == [tensor[i].tolist() for i in indices]


@pytest.mark.parametrize("index", [3, -4])
def test_rows_out_of_range(index):
    with pytest.raises(IndexError, match=f"index {index} is out of bounds.* size 3"):
        assemble.rows(fb.zeros(3), [0, index])


def test_rows_of_a_scalar_or_with_gradient_are_declined():
    assert assemble.rows(fb.tensor(1.0), [0]) is None
    assert assemble.rows(fb.ones(2, requires_grad=True), [0]) is None


class Shifted(TensorDataset):
    def __getitem__(self, index):
        return tuple(t + 100 for t in super().__getitem__(index))


def batches(dataset, **options):
    return [[part.tolist() for part in batch] for batch in DataLoader(dataset, 2, **options)]


def test_a_loader_takes_rows():
    tensors = fb.arange(6).view(3, 2), fb.tensor([7.0, 8.0, 9.0])
    expected = [[[[0, 1], [2, 3]], [7.0, 8.0]], [[[4, 5]], [9.0]]]
    assert batches(TensorDataset(*tensors)) == expected
    by_tensor = [fb.tensor(0), fb.tensor(1), fb.tensor(2)]
    assert batches(TensorDataset(*tensors), sampler=by_tensor) == expected


def test_gradients_reach_the_tensors_of_a_dataset():
    leaf = fb.ones(4, 2, requires_grad=True)
    for (part,) in DataLoader(TensorDataset(leaf), 2):
        part.sum().backward()
    assert leaf.grad.tolist() == [[1.0, 1.0]] * 4


def test_a_subclass_is_asked_for_its_own_samples():
    assert batches(Shifted(fb.arange(2))) == [[[100, 101]]]


def test_a_rule_of_the_user_is_used(monkeypatch):
    def negated(batch, *, collate_fn_map=None):
        return -fb.stack(list(batch))

    monkeypatch.setitem(default_collate_fn_map, fb.Tensor, negated)
    assert batches(TensorDataset(fb.arange(2))) == [[[0, -1]]]


def test_an_index_out_of_range_is_an_index_error():
    with pytest.raises(IndexError, match="5"):
        batches(TensorDataset(fb.arange(2)), sampler=[5])


def test_arrays_of_a_batch_are_independent_of_the_dataset():
    source = np.zeros((2, 3), np.float32)
    (batch,) = next(iter(DataLoader(TensorDataset(fb.from_numpy(source)), 2)))
    batch += 1
    assert source.max() == 0
    assert data.default_collate([fb.from_numpy(source[0])]).sum().item() == 0
