"""States of optimizers go to PyTorch and back, and both go on alike, whatever the flags."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import flambeau as fb

SHAPES = ((3, 4), (5,), ())
MATRICES = ((4, 3), (2, 5), (3, 3))
FLAGS = ({}, {"maximize": True, "weight_decay": 0.1}, {"foreach": True}, {"foreach": False})
CONFIGS = [
    *[(name, flags) for name in (
        "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "ASGD",
        "Adafactor") for flags in FLAGS],
    *[("Rprop", flags) for flags in ({}, {"maximize": True}, {"foreach": True})],
    *[("SGD", {"lr": 0.1, **flags}) for flags in FLAGS],
    *[(name, {"fused": True}) for name in ("Adam", "AdamW", "Adagrad")],
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}), ("Adam", {"amsgrad": True}),
    ("AdamW", {"amsgrad": True}), ("RMSprop", {"centered": True, "momentum": 0.9}),
    ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("Adafactor", {"eps": (None, 1e-2), "d": 1.3, "lr": 0.1}),
    *[("Muon", s) for s in (
        {}, {"nesterov": False, "momentum": 0.5}, {"ns_steps": 3, "eps": 1e-2},
        {"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
        {"ns_coefficients": (3.0, -4.0, 2.0)})],
]


def array(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def build(ns, name, settings, values):
    """An optimizer with two groups, the second one added afterwards."""
    params = [ns.nn.Parameter(ns.tensor(np.array(v))) for v in values]
    opt = getattr(ns.optim, name)(params[:1], **settings)
    opt.add_param_group({"params": params[1:], "lr": 0.05})
    return opt, params


def train(ns, opt, params, steps):
    for step in steps:
        for i, p in enumerate(params):
            p.grad = ns.tensor(array(100 * step + i, tuple(p.shape)))
        opt.step()
    return [np.array(p.detach().numpy()) for p in params]


def carried(value, to, tensor):
    if isinstance(value, tensor):
        return to.tensor(np.array(value.detach().numpy()))
    if isinstance(value, dict):
        return {k: carried(v, to, tensor) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(carried(v, to, tensor) for v in value)
    return value


@pytest.mark.parametrize(("name", "settings"), CONFIGS)
def test_states_go_both_ways(name, settings):
    torch = pytest.importorskip("torch")
    shapes = MATRICES if name == "Muon" else SHAPES
    values = [array(i, s) for i, s in enumerate(shapes)]
    for source, target in ((torch, fb), (fb, torch)):
        opt, params = build(source, name, settings, values)
        reached = train(source, opt, params, range(3))
        other, others = build(target, name, settings, reached)
        other.load_state_dict(carried(opt.state_dict(), target, source.Tensor))
        again, params = build(source, name, settings, reached)
        again.load_state_dict(copy.deepcopy(opt.state_dict()))
        want = train(source, again, params, range(3, 6))
        got = train(target, other, others, range(3, 6))
        for a, b in zip(want, got, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6)
        mine, theirs = other.state_dict(), again.state_dict()
        assert mine["param_groups"] == theirs["param_groups"]
        assert {k: sorted(v) for k, v in mine["state"].items()} == {
            k: sorted(v) for k, v in theirs["state"].items()}
