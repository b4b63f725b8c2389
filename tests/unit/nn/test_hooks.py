"""Hooks around forward and backward passes."""

from __future__ import annotations

import warnings

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.modules import module as modules


def double(x):
    return x * 2


class Double(nn.Module):
    def forward(self, x, plus=0):
        return x * 2 + plus


def test_forward_hooks_run_in_order_and_may_replace():
    m, calls = Double(), []
    m.register_forward_pre_hook(lambda m, args: calls.append("pre") or (args[0] + 1,))
    last = m.register_forward_hook(lambda m, args, out: calls.append("post") or out * 10)
    m.register_forward_hook(lambda m, args, out: calls.append("early"), prepend=True)
    assert m(fb.ones(1)).item() == 40.0
    assert calls == ["pre", "early", "post"]
    last.remove()
    assert m(fb.ones(1)).item() == 4.0


def test_hooks_with_keyword_arguments():
    m = Double()
    m.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"plus": kwargs["plus"] + 1}), with_kwargs=True)
    m.register_forward_hook(
        lambda m, args, kwargs, out: out + kwargs["plus"], with_kwargs=True)
    assert m(fb.ones(1), plus=3).item() == 10.0


def test_pre_hook_with_kwargs_must_return_a_pair():
    m = Double()
    m.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="a tuple of \\(new_args, new_kwargs\\)"):
        m(fb.ones(1))


def test_always_called_hooks_run_after_errors():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    m, seen = Broken(), []
    m.register_forward_hook(lambda m, a, out: seen.append(out), always_call=True)
    m.register_forward_hook(lambda m, a, out: seen.append("never"))
    with pytest.raises(ValueError, match="broken"):
        m(1)
    assert seen == [None]

    def fails(m, a, out):
        raise KeyError("hook")

    m.register_forward_hook(fails, always_call=True)
    with pytest.raises(ValueError, match="broken"), pytest.warns(UserWarning, match="silenced"):
        m(1)


def test_full_backward_hook_sees_and_replaces_gradients():
    m, seen = Double(), []
    m.register_full_backward_hook(
        lambda m, grad_in, grad_out: seen.append((grad_in, grad_out)) or (grad_in[0] * 5,))
    m.register_full_backward_pre_hook(lambda m, grad_out: (grad_out[0] * 3,))
    x = fb.ones(2, requires_grad=True)
    m(x).sum().backward()
    (grad_in, grad_out), = seen
    assert grad_out[0].tolist() == [3.0, 3.0] and grad_in[0].tolist() == [6.0, 6.0]
    assert x.grad.tolist() == [30.0, 30.0]


def test_full_backward_hook_without_input_gradient():
    m, seen = nn.Linear(2, 2), []
    m.register_full_backward_hook(lambda m, i, o: seen.append((i, o)))
    m(fb.ones(1, 2)).sum().backward()
    assert seen[0][0] == (None,) and seen[0][1][0].tolist() == [[1.0, 1.0]]
    assert m.weight.grad is not None


def test_full_backward_hook_with_several_tensors():
    class Two(nn.Module):
        def forward(self, x, n, y):
            return x * 2, n, y * 3

    m, seen = Two(), []
    m.register_full_backward_hook(lambda m, i, o: seen.append((i, o)))
    x, y = fb.ones(1, requires_grad=True), fb.ones(1, requires_grad=True)
    a, n, _ = m(x, 5, y)
    assert n == 5
    a.backward()
    (grad_in, grad_out), = seen
    assert grad_in[1] is None and grad_out[1] is None
    assert [g.item() for g in (grad_in[0], grad_in[2], grad_out[0], grad_out[2])] == [2, 0, 1, 0]
    assert x.grad.item() == 2.0


def test_wrong_number_of_gradients():
    m = Double()
    m.register_full_backward_hook(lambda m, i, o: (i[0], i[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        m(fb.ones(1, requires_grad=True)).backward()


def test_old_backward_hook():
    m, seen = Double(), []
    m.register_backward_hook(lambda m, i, o: seen.append(o[0].item()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        m(fb.ones(1, requires_grad=True)).backward()
    assert seen == [1.0]
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full"):
        m.register_full_backward_hook(lambda m, i, o: None)


def test_hooks_run_under_no_grad():
    m, seen = Double(), []
    m.register_full_backward_hook(lambda m, i, o: seen.append(1))
    with fb.no_grad():
        assert m(fb.ones(1)).item() == 2.0
    assert seen == []


def test_global_hooks():
    seen = []
    handles = [
        modules.register_module_forward_pre_hook(lambda m, a: seen.append("pre")),
        modules.register_module_forward_hook(lambda m, a, o: seen.append("post")),
        modules.register_module_full_backward_pre_hook(lambda m, o: seen.append("back pre")),
        modules.register_module_full_backward_hook(lambda m, i, o: seen.append("back")),
        modules.register_module_parameter_registration_hook(lambda m, n, p: seen.append(n)),
    ]
    try:
        Double()(fb.ones(1, requires_grad=True)).backward()
        nn.PReLU()
    finally:
        for handle in handles:
            handle.remove()
    assert seen == ["pre", "post", "back pre", "back", "weight"]
    Double()(fb.ones(1))
    assert len(seen) == 5
