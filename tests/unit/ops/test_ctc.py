"""The CTC loss."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradcheck
from flambeau.nn import functional as F


def log_probs(t, n, c, seed=0):
    x = np.random.default_rng(seed).standard_normal((t, n, c)).astype("float32")
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def collapsed(path):
    return tuple(k for k, _ in itertools.groupby(path) if k)


def test_is_the_sum_over_all_alignments():
    lp = log_probs(5, 1, 3)
    for target in ((1,), (1, 1), (1, 2), (2, 1, 2), ()):
        total = sum(
            np.exp(sum(lp[t, 0, k] for t, k in enumerate(path)))
            for path in itertools.product(range(3), repeat=5) if collapsed(path) == target)
        targets = fb.tensor([target], dtype=fb.int64).reshape(1, len(target))
        loss = F.ctc_loss(fb.from_numpy(lp), targets, (5,), (len(target),), reduction="sum")
        assert loss.item() == pytest.approx(-np.log(total), rel=1e-5)


def test_gradient_through_log_softmax():
    x = fb.randn(4, 2, 3, dtype=fb.float64, requires_grad=True)
    targets = fb.tensor([[1, 2], [2, 2]])
    assert gradcheck(
        lambda x: F.ctc_loss(x.log_softmax(-1), targets, (4, 3), (2, 1), reduction="sum"), (x,))


@pytest.mark.parametrize("settings", [
    {}, {"reduction": "none"}, {"reduction": "sum", "blank": 2}, {"zero_infinity": True}])
@pytest.mark.parametrize("joined", [False, True])
def test_equals_torch(settings, joined):
    torch = pytest.importorskip("torch")
    lp = log_probs(7, 3, 5)
    targets = np.random.default_rng(1).integers(1, 5, (3, 4))
    targets = np.where(targets == settings.get("blank", 0), 0, targets)
    counts = (4, 2, 3)
    if joined:
        targets = np.concatenate([row[:n] for row, n in zip(targets, counts, strict=True)])

    def run(ns):
        x = ns.from_numpy(lp.copy()).requires_grad_()
        loss = ns.nn.functional.ctc_loss(
            x, ns.from_numpy(targets), (7, 5, 2), counts, **settings)
        loss.sum().backward()
        return loss.detach().numpy(), x.grad.numpy()

    for mine, theirs in zip(run(fb), run(torch), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_unbatched():
    lp = fb.from_numpy(log_probs(5, 1, 3))
    targets = fb.tensor([1, 2])
    one = F.ctc_loss(lp[:, 0], targets, fb.tensor(5), fb.tensor(2), reduction="none")
    many = F.ctc_loss(lp, targets.unsqueeze(0), (5,), (2,), reduction="none")
    assert one.shape == () and one.item() == many[0].item()


def test_no_second_derivative():
    x = fb.randn(4, 1, 3, requires_grad=True)
    loss = F.ctc_loss(x.log_softmax(-1), fb.tensor([[1]]), (4,), (1,))
    (g,) = fb.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="_ctc_loss_backward' is not"):
        g.sum().backward()
