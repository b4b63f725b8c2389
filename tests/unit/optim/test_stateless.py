"""An optimizer on other parameters for a while."""

from __future__ import annotations

import copy

import pytest

import flambeau as fb
from flambeau import nn, optim
from flambeau.optim import swap_in_optimizer_params_and_state


def adam(ns=fb):
    params = [ns.nn.Parameter(ns.ones(2)), ns.nn.Parameter(ns.ones(3))]
    opt = ns.optim.Adam([{"params": params[:1], "lr": 0.1}, {"params": params[1:]}])
    for p in params:
        p.grad = ns.ones(*p.shape)
    opt.step()
    return opt, params


def swapped(ns, swap):
    opt, params = adam(ns)
    state = copy.deepcopy(opt.state_dict())
    state["param_groups"][0]["lr"] = 7.0
    others = {"a": ns.zeros(2), "b": ns.zeros(3)}
    before = [p.tolist() for p in params]
    with swap(opt, others, state):
        assert opt.param_groups[0]["params"][0] is others["a"]
        for p in others.values():
            p.grad = ns.ones(*p.shape)
        opt.step()
    assert [p.tolist() for p in params] == before and opt.param_groups[0]["lr"] == 0.1
    assert opt.param_groups[1]["params"][0] is params[1]
    assert opt.state[params[0]]["step"].item() == 1
    return [others["a"].tolist(), others["b"].tolist(), state["state"][0]["exp_avg"].tolist(),
            state["state"][1]["step"].item()]


def test_steps_go_to_what_is_given():
    torch = pytest.importorskip("torch")
    ours = swapped(fb, swap_in_optimizer_params_and_state)
    theirs = swapped(torch, torch.optim.swap_in_optimizer_params_and_state)
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-6)


def test_errors_bring_the_optimizer_back():
    opt, params = adam()
    with pytest.raises(KeyError), swap_in_optimizer_params_and_state(
            opt, {"a": fb.zeros(2), "b": fb.zeros(3)}, opt.state_dict()):
        raise KeyError
    assert opt.param_groups[0]["params"][0] is params[0] and params[0] in opt.state


def test_refusals():
    opt, _ = adam()
    state, both = opt.state_dict(), {"a": fb.zeros(2), "b": fb.zeros(3)}
    cases = [
        (optim.Adam([nn.Parameter(fb.ones(1))]), both, state, "initialized optimizer state"),
        (opt, {"a": fb.zeros(2)}, state, "ordering"),
        (opt, both, {"state": {}}, "got NoneType"),
        (opt, both, {**state, "param_groups": state["param_groups"][:1]}, "different number"),
    ]
    for optimizer, params, given, words in cases:
        with pytest.raises(RuntimeError, match=words), swap_in_optimizer_params_and_state(
                optimizer, params, given):
            pass
