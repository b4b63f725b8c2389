"""Pruning, with the masks of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils import prune

VALUES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def linear(T=fb):
    m = T.nn.Linear(5, 6)
    with T.no_grad():
        m.weight.copy_(T.tensor(VALUES))
    return m


SCORES = np.abs(VALUES[::-1]).copy()
PROGRAMS = {
    "l1 part": lambda T, p, m: p.l1_unstructured(m, "weight", 0.4),
    "l1 number": lambda T, p, m: p.l1_unstructured(m, "weight", 7),
    "l1 nothing": lambda T, p, m: p.l1_unstructured(m, "weight", 0),
    "l1 scores": lambda T, p, m: p.l1_unstructured(
        m, "weight", 7, importance_scores=T.tensor(SCORES)),
    "ln rows": lambda T, p, m: p.ln_structured(m, "weight", 2, 2, 0),
    "ln columns": lambda T, p, m: p.ln_structured(m, "weight", 0.5, 1, -1),
    "ln scores": lambda T, p, m: p.ln_structured(
        m, "weight", 1, float("inf"), 1, importance_scores=T.tensor(SCORES)),
    "random": lambda T, p, m: p.random_unstructured(m, "weight", 0.3),
    "random channels": lambda T, p, m: p.random_structured(m, "weight", 2, 1),
    "mask": lambda T, p, m: p.custom_from_mask(m, "weight", T.tensor(VALUES) > 0),
    "identity": lambda T, p, m: p.identity(m, "weight"),
    "twice": lambda T, p, m: p.l1_unstructured(p.l1_unstructured(m, "weight", 0.4), "weight", 0.5),
    "three times": lambda T, p, m: p.custom_from_mask(p.l1_unstructured(
        p.ln_structured(m, "weight", 2, 2, 0), "weight", 5), "weight", T.tensor(VALUES) > -0.5),
    "channels twice": lambda T, p, m: p.ln_structured(
        p.random_structured(m, "weight", 2, 0), "weight", 0.5, 2, 0),
    "both parameters": lambda T, p, m: p.l1_unstructured(
        p.l1_unstructured(m, "weight", 3), "bias", 2),
    "together": lambda T, p, m: p.global_unstructured(
        [(m, "weight"), (m, "bias")], p.L1Unstructured, amount=0.5) or m,
    "together again": lambda T, p, m: p.global_unstructured(
        [(p.l1_unstructured(m, "weight", 4), "weight"), (m, "bias")], p.L1Unstructured,
        importance_scores={(m, "bias"): T.full((6,), 9.0)}, amount=9) or m,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_masks_are_pytorch_s(name):
    torch = pytest.importorskip("torch")
    import torch.nn.utils.prune as theirs

    found = []
    for T, p in ((fb, prune), (torch, theirs)):
        T.manual_seed(3)
        m = linear(T)
        with T.no_grad():
            m.bias.copy_(T.linspace(-1, 2, 6))
        T.manual_seed(4)
        m = PROGRAMS[name](T, p, m)
        out = m(T.ones(2, 5))
        out.sum().backward()
        state = {k: np.asarray(v.detach()) for k, v in m.state_dict().items()}
        found.append((state, out, {k: v.grad for k, v in m.named_parameters()}))
    (ours, out, grads), (wanted, their_out, their_grads) = found
    assert list(ours) == list(wanted)
    for key, value in wanted.items():
        np.testing.assert_allclose(ours[key], value, err_msg=key)
    np.testing.assert_allclose(out.detach().numpy(), their_out.detach().numpy(), rtol=1e-5)
    for key, g in their_grads.items():
        np.testing.assert_allclose(grads[key].numpy(), g.numpy(), err_msg=key)


def test_pruning_and_removing():
    m = nn.Sequential(linear(), nn.ReLU())
    assert not prune.is_pruned(m)
    prune.l1_unstructured(m[0], "weight", 10)
    assert prune.is_pruned(m)
    assert sorted(m[0].state_dict()) == ["bias", "weight_mask", "weight_orig"]
    pruned = m[0].weight.detach().clone()
    assert int((pruned == 0).sum()) == 10
    twin = nn.Sequential(prune.identity(linear(), "weight"), nn.ReLU())
    twin.load_state_dict(m.state_dict())
    with fb.no_grad():
        twin[0].weight_orig.fill_(1.0)
    twin(fb.ones(1, 5))
    assert (twin[0].weight == twin[0].weight_mask).all()
    original = m[0].weight_orig
    prune.remove(m[0], "weight")
    assert not prune.is_pruned(m) and m[0].weight is original
    assert sorted(m[0].state_dict()) == ["bias", "weight"]
    assert (m[0].weight == pruned).all()
    with pytest.raises(ValueError, match="has to be pruned before pruning can be removed"):
        prune.remove(m[0], "weight")


def test_methods_by_themselves():
    t = fb.tensor([3.0, -1.0, 2.0])
    assert prune.L1Unstructured(1).prune(t).tolist() == [3.0, 0.0, 2.0]
    left = prune.L1Unstructured(1).prune(t, importance_scores=fb.tensor([0.0, 5.0, 5.0]))
    assert left.tolist() == [0.0, -1.0, 2.0]
    with pytest.raises(AssertionError, match="same shape as tensor t"):
        prune.L1Unstructured(1).prune(t, importance_scores=fb.ones(2))
    m = linear()
    prune.identity(m, "weight")
    container = prune.L1Unstructured.apply(m, "weight", 1)
    assert len(container) == 2 and isinstance(container[1], prune.L1Unstructured)
    assert [type(x).__name__ for x in container] == ["Identity", "L1Unstructured"]
    with pytest.raises(TypeError, match="is not a BasePruningMethod subclass"):
        container.add_pruning_method(3)
    other = prune.Identity.apply(m, "bias")
    with pytest.raises(ValueError, match="acting on the parameter named 'weight'"):
        container.add_pruning_method(other)


@pytest.mark.parametrize(("amount", "error", "words"), [
    (1.5, ValueError, "in the range"), (-1, ValueError, "non-negative"),
    ("a", TypeError, "Must be int or float"), (100, ValueError, "parameters to prune=30"),
])
def test_amounts(amount, error, words):
    with pytest.raises(error, match=words):
        prune.l1_unstructured(linear(), "weight", amount)


def test_refusals():
    m = linear()
    with pytest.raises(IndexError, match="Invalid index 5"):
        prune.ln_structured(m, "weight", 1, 2, 5)
    with pytest.raises(ValueError, match="multidimensional"):
        prune.random_structured(m, "bias", 1, 0)
    with pytest.raises(AssertionError, match="same shape as parameter weight"):
        prune.l1_unstructured(m, "weight", 1, importance_scores=fb.ones(2))
    with pytest.raises(TypeError, match='Only "unstructured"'):
        prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=2)
    with pytest.raises(TypeError, match="of type dict"):
        prune.global_unstructured([(m, "weight")], prune.L1Unstructured, [1], amount=1)
