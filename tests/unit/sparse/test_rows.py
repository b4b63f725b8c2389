"""Gradients of embeddings as sparse tensors, and the optimizers that take them."""

import numpy as np
import pytest

import flambeau as fb

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant")

OPTIMIZERS = [
    ("SGD", {}), ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"maximize": True}), ("Adagrad", {}), ("Adagrad", {"lr_decay": 0.1, "maximize": True}),
    ("SparseAdam", {}), ("SparseAdam", {"maximize": True}),
]


def table(m, **settings):
    e = m.nn.Embedding(6, 3, sparse=True, **settings)
    with m.no_grad():
        e.weight.copy_(m.arange(18.0).reshape(6, 3) / 10)
    return e


@pytest.mark.parametrize("settings", [{}, {"padding_idx": 1}])
def test_embeddings_give_sparse_gradients(settings):
    found = []
    for m in (fb, torch):
        e = table(m, **settings)
        (e(m.tensor([[1, 1], [3, 5]])) * m.arange(12.0).reshape(2, 2, 3)).sum().backward()
        e(m.tensor([3])).sum().backward()
        grad = e.weight.grad
        assert grad.is_sparse
        found.append(grad.to_dense().tolist())
    assert found[0] == found[1]


def test_scaling_by_frequency_is_refused():
    loss = table(fb, scale_grad_by_freq=True)(fb.tensor([1, 1])).sum()
    with pytest.raises(RuntimeError, match="not supported with sparse gradients"):
        loss.backward()


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bags_give_sparse_gradients(mode):
    found = []
    for m in (fb, torch):
        weight = m.arange(18.0).reshape(6, 3).requires_grad_()
        out = m.nn.functional.embedding_bag(
            m.tensor([1, 2, 2, 5]), weight, m.tensor([0, 3]), mode=mode, sparse=True)
        (out * m.arange(6.0).reshape(2, 3)).sum().backward()
        assert weight.grad.is_sparse
        found.append(weight.grad.to_dense().tolist())
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS)
def test_steps_by_sparse_gradients_are_torchs(name, settings):
    found = []
    for m in (fb, torch):
        e = table(m)
        optimizer = getattr(m.optim, name)(e.parameters(), lr=0.1, **settings)
        for rows in ([1, 1, 4], [0], [4, 1], [2, 4]):
            optimizer.zero_grad()
            (e(m.tensor(rows)) ** 2).sum().backward()
            optimizer.step()
        found.append(e.weight.tolist())
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.parametrize("name", [
    "Adam", "AdamW", "RMSprop", "Adadelta", "Rprop", "NAdam", "RAdam", "Adamax", "ASGD",
    "Adafactor",
])
def test_other_optimizers_refuse_sparse_gradients(name):
    messages = []
    for m in (fb, torch):
        e = table(m)
        e(m.tensor([1])).sum().backward()
        with pytest.raises(RuntimeError, match="does not support sparse gradients") as caught:
            getattr(m.optim, name)(e.parameters()).step()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_weight_decay_and_dense_gradients_are_refused():
    e = table(fb)
    e(fb.tensor([1])).sum().backward()
    for name in ("SGD", "Adagrad"):
        with pytest.raises(RuntimeError, match="sparse gradient"):
            getattr(fb.optim, name)(e.parameters(), weight_decay=0.1).step()
    e.weight.grad = fb.ones(6, 3)
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        fb.optim.SparseAdam(e.parameters()).step()
    with pytest.raises(ValueError, match="requires dense parameter tensors"):
        fb.optim.SparseAdam([fb.eye(2).to_sparse().requires_grad_()])


@pytest.mark.parametrize("order", [
    ("rows", "rows", "all"), ("all", "rows", "rows"), ("rows", "all", "rows"), ("rows", "all")])
def test_a_table_that_is_used_densely_too_has_a_dense_gradient(order):
    """Within one backward pass, and accumulated over several."""
    for at_once in (True, False):
        e = table(fb)
        losses = [e(fb.tensor([1, 2])).sum() if use == "rows" else e.weight.sum() for use in order]
        for loss in [sum(losses)] if at_once else losses:
            loss.backward()
        wanted = fb.ones(6, 3)
        wanted[1:3] += order.count("rows")
        assert e.weight.grad.layout is fb.strided
        assert e.weight.grad.tolist() == wanted.tolist()


def test_groups_of_sparse_and_dense_gradients_step_together():
    for name in ("SGD", "Adagrad"):
        e, line = table(fb), fb.nn.Linear(3, 1)
        before = e.weight.detach().clone(), line.weight.detach().clone()
        optimizer = getattr(fb.optim, name)([*e.parameters(), *line.parameters()], lr=0.1)
        line(e(fb.tensor([1, 2]))).sum().backward()
        optimizer.step()
        assert (e.weight != before[0]).any(1).tolist() == [False, True, True, False, False, False]
        assert not line.weight.equal(before[1])
        optimizer.zero_grad(set_to_none=False)
        assert e.weight.grad._nnz() == 0


def test_gradients_are_unscaled():
    e = table(fb)
    scaler = fb.amp.GradScaler("cpu", init_scale=8.0)
    optimizer = fb.optim.SGD(e.parameters(), lr=1.0)
    scaler.scale(e(fb.tensor([1, 1])).sum()).backward()
    scaler.unscale_(optimizer)
    assert e.weight.grad.is_sparse
    assert e.weight.grad.to_dense()[1].tolist() == [2.0, 2.0, 2.0]
    before = e.weight.detach().clone()
    scaler.step(optimizer)
    assert (before - e.weight)[1].tolist() == pytest.approx([2.0] * 3)


def test_assert_close_compares_layouts_and_elements():
    close = fb.testing.assert_close
    s = fb.eye(3).to_sparse()
    close(s, s * 1)
    close(fb.nested.nested_tensor([fb.ones(2)]), fb.nested.nested_tensor([fb.ones(2)]))
    with pytest.raises(AssertionError, match="not close"):
        close(s, s * 2)
    with pytest.raises(AssertionError, match="layout"):
        close(s, s.to_sparse_csr())
    close(s, s.to_sparse_csr(), check_layout=False)
    with pytest.raises(AssertionError, match="not close"):
        close(fb.nested.nested_tensor([fb.ones(2)]), fb.nested.nested_tensor([fb.zeros(2)]))
