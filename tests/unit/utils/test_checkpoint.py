"""Activation checkpointing."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.utils.checkpoint import checkpoint, checkpoint_sequential


def block(calls):
    linear, dropout = nn.Linear(4, 4), nn.Dropout(0.5)

    def run(x, scale=1.0):
        calls.append(fb.is_grad_enabled())
        return dropout(linear(x)).tanh() * scale

    return run, linear


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradients_are_those_without(reentrant):
    calls = []
    fb.manual_seed(1)
    run, linear = block(calls)
    found = []
    for wrapped in (False, True):
        fb.manual_seed(2)
        x = fb.arange(8.0).reshape(2, 4).requires_grad_()
        out = checkpoint(run, x, use_reentrant=reentrant) if wrapped else run(x)
        after = fb.rand(1).item()
        linear.zero_grad()
        (out * out).sum().backward()
        found.append([out.detach(), x.grad, linear.weight.grad, linear.bias.grad, after])
    assert calls == [True, False, True]  # plain, then without recording, then again
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_the_newer_variant_needs_no_input_with_gradient():
    calls = []
    run, linear = block(calls)
    scale = fb.tensor(2.0, requires_grad=True)
    checkpoint(run, fb.ones(1, 4), use_reentrant=False, scale=scale).sum().backward()
    assert linear.weight.grad is not None and scale.grad is not None
    with pytest.raises(ValueError, match="Unexpected keyword arguments: scale"):
        checkpoint(run, fb.ones(1, 4), use_reentrant=True, scale=scale)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        assert not checkpoint(run, fb.ones(1, 4), use_reentrant=True).requires_grad
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint(run, fb.ones(1, 4, requires_grad=True))


def test_several_results_and_no_grad():
    def two(x):
        return x * 2, x * 3

    x = fb.ones(2, requires_grad=True)
    a, _ = checkpoint(two, x, use_reentrant=False)
    a.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with fb.no_grad():
        assert not checkpoint(two, x, use_reentrant=False)[0].requires_grad


def test_repetitions_must_do_the_same():
    sizes = iter((2, 3))

    def changing(x):
        return x.expand(next(sizes))

    out = checkpoint(changing, fb.ones(1, requires_grad=True), use_reentrant=False)
    with pytest.raises(RuntimeError, match="results of other shapes"):
        out.sum().backward()


def test_sequences():
    fb.manual_seed(3)
    m = nn.Sequential(*[nn.Linear(3, 3) for _ in range(5)])
    x = fb.ones(2, 3, requires_grad=True)
    m(x).sum().backward()
    want = [p.grad.clone() for p in m.parameters()]
    m.zero_grad()
    checkpoint_sequential(m, 2, x, use_reentrant=False).sum().backward()
    for p, g in zip(m.parameters(), want, strict=True):
        assert p.grad.tolist() == g.tolist()
