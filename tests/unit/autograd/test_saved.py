"""Hooks of saved tensors: every way by which nodes are made, and what the hooks may do."""

from __future__ import annotations

import threading
from contextlib import nullcontext

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import graph

VALUES = np.linspace(-1.0, 2.0, 9, dtype=np.float32).reshape(3, 3)


def product(x, w):
    return (x @ w).tanh().sum()


def softmax(x, w):
    return (fb.softmax(x @ w, -1) * x.exp()).sum()


def written_through_views(x, w):
    y = x * 2
    y[:, 0].mul_(w[0].sum())
    y.sin_()
    return (y * y).sum()


def lists(x, w):
    return (fb.cat([x, w]) ** 2).prod(1).sum() + fb.stack([x, w]).std()


def fused(x, w):
    layer = fb.nn.functional.layer_norm(x, (3,)) * w
    return (layer + fb.nn.functional.linear(x, w, w[0]).relu()).sum()


def several_outputs(x, w):
    return fb.einsum("ij,jk->ik", x, w).logsumexp(0).sum() + fb.max(x, 1)[0].sum()


class Exponential(fb.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        out = a.exp()
        ctx.save_for_backward(a, out)
        return out

    @staticmethod
    def backward(ctx, g):
        a, out = ctx.saved_tensors
        return g * out + 0 * a


def of_the_user(x, w):
    return (Exponential.apply(x) * w).sum()


PROGRAMS = [
    product, softmax, written_through_views, lists, fused, several_outputs, of_the_user]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_gradients_are_those_without_hooks_twice(program):
    found, counts = [], [0, 0]

    def pack(t):
        assert not t.requires_grad
        counts[0] += 1
        return t.numpy().copy()

    def unpack(array):
        counts[1] += 1
        return fb.tensor(array)

    for hooks in (None, graph.saved_tensors_hooks(pack, unpack)):
        x, w = (fb.tensor(v, requires_grad=True) for v in (VALUES, VALUES[::-1].copy()))
        if hooks is None:
            loss = program(x, w)
        else:
            with hooks:
                loss = program(x, w)
        first = fb.autograd.grad(loss, [x, w], create_graph=True)
        second = fb.autograd.grad(sum((g * g).sum() for g in first), [x, w])
        found.append([*first, *second])
    assert 0 < counts[0] <= counts[1]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_innermost_hooks_alone_are_asked_and_only_within():
    asked = []

    def noting(name):
        return graph.saved_tensors_hooks(lambda t: asked.append(name) or t, lambda t: t)

    x = fb.ones(2, requires_grad=True)
    with noting("outer"):
        x * x
        with noting("inner"):
            x * x
        x * x
    x * x
    assert asked == ["outer"] * 2 + ["inner"] * 2 + ["outer"] * 2


def test_hooks_belong_to_their_thread():
    asked = []
    x = fb.ones(2, requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: asked.append(1) or t, lambda t: t):
        thread = threading.Thread(target=lambda: (x * x).sum().backward())
        thread.start()
        thread.join()
    assert not asked and x.grad.tolist() == [2.0, 2.0]


def test_a_graph_is_walked_again_only_if_it_was_kept():
    x = fb.ones(2, requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == [4.0, 4.0]
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_what_hooks_may_not_do():
    x = fb.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match="expects two functions, got int"):
        graph.saved_tensors_hooks(1, 2).__enter__()
    with graph.saved_tensors_hooks(lambda t: 1, lambda t: 2):
        loss = (x * x).sum()
    with pytest.raises(TypeError, match="expected to be a Tensor but got result of type int"):
        loss.backward()
    modifying = graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t)
    with modifying, pytest.raises(RuntimeError, match="modifying its input in place"):
        x.detach() * x
    refusing = graph.disable_saved_tensors_hooks("none here")
    with refusing, pytest.raises(RuntimeError, match="none here"):
        graph.saved_tensors_hooks(lambda t: t, lambda t: t).__enter__()
    with graph.save_on_cpu(), pytest.raises(RuntimeError, match="none here"):
        graph.disable_saved_tensors_hooks("none here").__enter__()


def test_saving_on_the_cpu_brings_tensors_back():
    x = fb.arange(3.0).requires_grad_()
    with graph.save_on_cpu(pin_memory=True):
        out = Exponential.apply(x)
    assert out.grad_fn.saved_tensors[0].tolist() == [0.0, 1.0, 2.0]
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(np.arange(3.0)), rtol=1e-6)


def test_saved_tensors_may_be_written_to_within_their_context():
    x = fb.ones(2, requires_grad=True)
    with graph.allow_mutation_on_saved_tensors() as copies:
        y = x * 1
        out = y.sin()
        y.sin_()
        out.sum().backward()
        assert copies is not None
        y = x * 1
        late = y.sin()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(1.0), rtol=1e-6)
    with pytest.raises(AssertionError, match="outside of the 'allow_mutation_on_saved_tensors'"):
        late.sum().backward()


@pytest.mark.parametrize("packed", [True, False])
def test_what_is_saved_is_found_by_pytorch_s_names(packed):
    x = fb.ones(2, requires_grad=True)
    w = fb.full((2,), 3.0, requires_grad=True)
    with graph.save_on_cpu() if packed else nullcontext():
        y, z = x * w, x.exp()
    assert y.grad_fn._saved_self.tolist() == [1.0, 1.0]
    assert y.grad_fn._saved_other.tolist() == [3.0, 3.0]
    result = z.grad_fn._saved_result
    assert (result == z).all() and result.grad_fn is z.grad_fn
    with pytest.raises(AttributeError, match="'ExpBackward0' object has no attribute '_saved_it'"):
        getattr(z.grad_fn, "_saved_it")  # noqa: B009  its error is asked for
    z.sum().backward()
    with pytest.raises(RuntimeError, match="after they have already been freed"):
        getattr(z.grad_fn, "_saved_result")  # noqa: B009
    assert not hasattr(z.grad_fn, "anything")
