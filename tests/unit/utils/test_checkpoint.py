"""Activation checkpointing."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.modes import DispatchMode
from flambeau.utils.checkpoint import (
    SAC_IGNORED_OPS,
    CheckpointError,
    CheckpointFunction,
    CheckpointPolicy,
    DefaultDeviceType,
    GraphExecGroup,
    check_backward_validity,
    checkpoint,
    checkpoint_sequential,
    create_selective_checkpoint_contexts,
    detach_variable,
    get_device_states,
    set_checkpoint_debug_enabled,
    set_checkpoint_early_stop,
    set_device_states,
)


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
    # plain; then recorded with nothing saved, or not recorded; then again
    assert calls == [True, not reentrant, True]
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
    sizes = iter((2, 3, 2, 3))

    def changing(x):
        return x.exp().expand(next(sizes)).sin()

    x = fb.ones(1, requires_grad=True)
    out = checkpoint(changing, x, use_reentrant=False)
    with pytest.raises(CheckpointError, match=r"different metadata[^$]*position 1"):
        out.sum().backward()
    out = checkpoint(changing, x, use_reentrant=False, determinism_check="none")
    with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match"):
        out.sum().backward()
    with pytest.raises(ValueError, match="should be one of"):
        checkpoint(changing, x, use_reentrant=False, determinism_check="all")


def unequal(first, again):
    steps = iter((first, again))

    def run(x):
        for _ in range(next(steps)):
            x = x.sin()
        return x

    return run


def test_repetitions_must_save_as_many_tensors():
    x = fb.ones(2, requires_grad=True)
    with pytest.raises(CheckpointError, match="different number of tensors"):
        checkpoint(unequal(2, 1), x, use_reentrant=False).sum().backward()
    checkpoint(unequal(1, 2), x, use_reentrant=False).sum().backward()  # the rest is not run
    with set_checkpoint_early_stop(False), pytest.raises(CheckpointError, match="more tensors"):
        checkpoint(unequal(1, 2), x, use_reentrant=False).sum().backward()
    with pytest.raises(CheckpointError, match="more tensors"):
        checkpoint(unequal(1, 2), x, use_reentrant=False, early_stop=False).sum().backward()


def test_debugging_lists_both_computations():
    x = fb.ones(2, requires_grad=True)
    with set_checkpoint_debug_enabled(True):
        out = checkpoint(unequal(2, 1), x, use_reentrant=False)
    with pytest.raises(CheckpointError) as caught:
        out.sum().backward()
    assert str(caught.value).count("sin(float32[2])") == 3
    with pytest.raises(ValueError, match="incompatible with non-default context_fn"):
        checkpoint(
            fb.sin, x, use_reentrant=False, debug=True,
            context_fn=lambda: create_selective_checkpoint_contexts([fb.sin]))


class Ops(DispatchMode):
    """Notes the names of the operators that are called."""

    def __init__(self):
        self.names = []

    def handle(self, op, args):
        self.names.append(op.name)
        return NotImplemented


def test_the_repetition_ends_when_all_is_computed():
    x = fb.ones(2, requires_grad=True)
    counts = []
    for stops in (True, False):
        out = checkpoint(
            lambda x: x.exp().sin() + 1, x, use_reentrant=False, early_stop=stops)
        with Ops() as ops:
            out.sum().backward()
        assert ops.names.count("exp") == 1
        counts.append(ops.names.count("add"))
    assert not counts[0] and counts[1]


def test_nested_regions_keep_nothing_inside():
    calls = []
    fb.manual_seed(1)
    run, linear = block(calls)

    def plain(x):
        return run(run(x).sin())

    def nested(x):
        inner = checkpoint(run, x, use_reentrant=False)
        return checkpoint(run, inner.sin(), use_reentrant=False)

    found = []
    for function in (plain, lambda x: checkpoint(nested, x, use_reentrant=False)):
        fb.manual_seed(2)
        x = fb.ones(2, 4, requires_grad=True)
        linear.zero_grad()
        calls.clear()
        function(x).square().sum().backward()
        found.append([x.grad, linear.weight.grad])
    assert 4 <= len(calls) <= 6
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_second_derivatives_and_gradients_of_named_tensors():
    def function(x):
        return (x**3).sin()

    found = []
    for wrapped in (False, True):
        x = fb.tensor([0.5, 1.0], requires_grad=True)
        out = checkpoint(function, x, use_reentrant=False) if wrapped else function(x)
        (first,) = fb.autograd.grad(out.sum(), x, create_graph=True)
        (second,) = fb.autograd.grad(first.sum(), x)
        found.append((first.tolist(), second.tolist()))
    assert found[0] == found[1]
    out = checkpoint(function, x, use_reentrant=True)
    with pytest.raises(RuntimeError, match="use_reentrant=True, checkpoint"):
        fb.autograd.grad(out.sum(), x)


def test_graphs_that_are_kept_are_computed_again_each_time():
    calls = []
    run, _ = block(calls)
    x = fb.ones(2, 4, requires_grad=True)
    loss = checkpoint(run, x, use_reentrant=False).sum()
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    assert len(calls) == 3 and (x.grad == 2 * once).all()


def test_a_group_of_passes_computes_once():
    calls = []

    def two(x):
        calls.append(1)
        return x.sin(), x.exp().cos()

    for group, expected in ((False, 3), (True, 2)):
        calls.clear()
        x = fb.ones(2, requires_grad=True)
        a, b = checkpoint(two, x, use_reentrant=False, early_stop=False)
        with GraphExecGroup() if group else nullcontext():
            a.sum().backward()
            b.sum().backward()
        assert len(calls) == expected


def test_autocast_is_as_it_was():
    dtypes = []
    w = fb.ones(2, 2, requires_grad=True)

    def function(x):
        dtypes.append((x @ x).dtype)
        return x @ w

    with fb.autocast("cpu"):
        out = checkpoint(function, fb.ones(2, 2), use_reentrant=False)
    out.sum().backward()
    out = checkpoint(function, fb.ones(2, 2), use_reentrant=False, early_stop=False)
    with fb.autocast("cpu"):
        out.sum().backward()
    assert dtypes == [fb.bfloat16, fb.bfloat16, fb.float32, fb.float32]


# ---- selective ---------------------------------------------------------------------------------
def chain(x, w):
    return fb.nn.functional.gelu((x @ w).relu()).exp().sin()


@pytest.mark.parametrize("kept", [[], [fb.matmul], ["matmul", fb.exp], ["gelu", "matmul"]])
def test_what_is_kept_is_not_computed_again(kept):
    x, w = (fb.linspace(-1, 1, 4).reshape(2, 2).requires_grad_() for _ in range(2))
    want = fb.autograd.grad(chain(x, w).sum(), [x, w])
    out = checkpoint(
        chain, x, w, use_reentrant=False,
        context_fn=lambda: create_selective_checkpoint_contexts(kept))
    with Ops() as ops:
        found = fb.autograd.grad(out.sum(), [x, w])
    again = ops.names[: ops.names.index("cos")]  # the derivative of the last op comes after
    for name in ("matmul", "gelu", "exp", "relu"):
        is_kept = any(name == getattr(k, "__name__", k) for k in kept)
        assert (name in again) is not is_kept
    for a, b in zip(want, found, strict=True):
        assert a.tolist() == b.tolist()


def test_a_policy_is_asked_in_the_forward_pass():
    asked = []

    def policy(context, function, *args):
        asked.append((function, context.is_recompute, context.op_output.shape))
        offloads = function is fb.exp
        return CheckpointPolicy.MUST_CPU_OFFLOAD if offloads else CheckpointPolicy.MUST_RECOMPUTE

    x = fb.ones(2, requires_grad=True)
    contexts = partial(create_selective_checkpoint_contexts, policy)
    out = checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False, context_fn=contexts)
    out.sum().backward()
    assert asked == [(fb.exp, False, (2,)), (fb.sin, False, (2,))]
    np.testing.assert_allclose(x.grad.numpy(), np.e * np.cos(np.e), rtol=1e-5)


def test_results_that_are_kept_may_not_be_written_to():
    def function(x):
        y = x.exp()
        z = y.sin()
        with fb.no_grad():
            y.mul_(2)
        return z

    x = fb.ones(2, requires_grad=True)
    contexts = partial(create_selective_checkpoint_contexts, [fb.exp])
    out = checkpoint(function, x, use_reentrant=False, context_fn=contexts)
    with pytest.raises(RuntimeError, match="has been mutated"):
        out.sum().backward()
    with pytest.raises(ValueError, match="Expected an operator"):
        create_selective_checkpoint_contexts(["no such op"])
    with pytest.raises(TypeError, match="a function or a list"):
        create_selective_checkpoint_contexts(3)
    assert fb.transpose in SAC_IGNORED_OPS


# ---- the older variant's parts -----------------------------------------------------------------
def test_parts_of_the_older_variant():
    a = fb.ones(2, requires_grad=True)
    b = a * 2
    detached = detach_variable((b, 3, fb.ones(1)))
    assert detached[0].is_leaf and detached[0].requires_grad and detached[1] == 3
    assert not detached[2].requires_grad
    with pytest.raises(RuntimeError, match="Only tuple of tensors is supported"):
        detach_variable([a])
    with pytest.warns(UserWarning, match="None of the inputs"):
        check_backward_validity((fb.ones(1), 1))
    CheckpointFunction.apply(lambda x, n: x.sin() * n, True, a, 2).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 2 * np.cos(1.0), rtol=1e-6)


def test_states_of_devices():
    assert get_device_states(fb.ones(1)) == ([], [])
    indices, states = get_device_states(fb.ones(1, device="meta"))
    before = fb.rand(3)
    fb.rand(2)
    set_device_states(indices, states, device_type="meta")
    assert fb.rand(3).tolist() == before.tolist()
    assert DefaultDeviceType.get_device_type() == "cpu"
    DefaultDeviceType.set_device_type("meta")
    assert DefaultDeviceType.get_device_type() == "meta"
    DefaultDeviceType.set_device_type("cpu")


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


@pytest.mark.parametrize("reentrant", [True, False])
def test_memory_is_saved_and_given_back(reentrant):
    if not fb.cpu.memory_stats():
        pytest.skip("the CPU's memory comes from no pool")
    layers = [nn.Sequential(nn.Linear(128, 128), nn.GELU(), nn.Tanh()) for _ in range(4)]
    x = fb.ones(512, 128, requires_grad=True)
    held = []
    for wrapped in (False, True):
        gc.collect()
        gc.disable()
        try:
            before, y = fb.cpu.memory_allocated(), x
            for layer in layers:
                y = checkpoint(layer, y, use_reentrant=reentrant) if wrapped else layer(y)
            held.append(fb.cpu.memory_allocated() - before)
            y.sum().backward()
            x.grad = None
            for layer in layers:
                layer.zero_grad()
            del y
            assert fb.cpu.memory_allocated() == before  # without the garbage collector's help
        finally:
            gc.enable()
    assert held[1] <= held[0] / 2
