"""Optimizers: the same trajectories as PyTorch's."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn, optim

CONFIGS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.2, "maximize": True}),
    ("Adam", {}), ("Adam", {"weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "maximize": True, "betas": (0.5, 0.6)}),
    ("AdamW", {}), ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
    ("Adamax", {}), ("Adamax", {"weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}), ("NAdam", {"weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum_decay": 0.1}),
    ("RAdam", {}), ("RAdam", {"betas": (0.5, 0.6), "weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adagrad", {}), ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adagrad", {"weight_decay": 0.1, "maximize": True}),
    ("Adadelta", {}), ("Adadelta", {"rho": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {}), ("RMSprop", {"momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("Rprop", {}), ("Rprop", {"etas": (0.3, 1.7), "step_sizes": (1e-3, 0.05)}),
    ("ASGD", {}), ("ASGD", {"t0": 2, "weight_decay": 0.1, "lambd": 0.1}),
]
MATRICES_ONLY = [
    ("Adafactor", {}), ("Adafactor", {"weight_decay": 0.1, "d": 1.5, "beta2_decay": -0.5}),
    ("Muon", {}), ("Muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
]


def array(seed, *shape, dtype="float32"):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    if dtype == "complex64":
        values = values + 1j * np.random.default_rng(seed + 99).standard_normal(shape)
    return values.astype(dtype)


def train(ns, name, settings, steps=8, dtype="float32", shapes=((3, 4), (5,), ())):
    params = [
        ns.nn.Parameter(ns.from_numpy(np.array(array(i, *s, dtype=dtype))))
        for i, s in enumerate(shapes)]
    opt = getattr(ns.optim, name)(params, **settings)
    for step in range(steps):
        for i, p in enumerate(params):
            skipped = step == 2 and i == 1
            grad = np.array(array(10 * step + i, *shapes[i], dtype=dtype))
            p.grad = None if skipped else ns.from_numpy(grad)
        opt.step()
    return opt, params


def numpy(t):
    return t.detach().numpy()


@pytest.mark.parametrize(("name", "settings"), CONFIGS)
def test_equals_torch(name, settings):
    torch = pytest.importorskip("torch")
    opt, mine = train(fb, name, settings)
    other, theirs = train(torch, name, settings)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=2e-6, atol=1e-7)
    assert opt.param_groups[0].keys() == other.param_groups[0].keys()
    for p, q in zip(mine, theirs, strict=True):
        assert list(opt.state[p]) == list(other.state[q])
        for key, value in other.state[q].items():
            held = numpy(opt.state[p][key])
            assert held.dtype == numpy(value).dtype and held.shape == numpy(value).shape
            np.testing.assert_allclose(held, numpy(value), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "settings"), MATRICES_ONLY)
def test_matrix_optimizers_equal_torch(name, settings):
    torch = pytest.importorskip("torch")
    shapes = ((3, 4), (6, 2))
    _, mine = train(fb, name, settings, shapes=shapes)
    _, theirs = train(torch, name, settings, shapes=shapes)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "settings"), [c for c in CONFIGS if not c[1]])
def test_complex_parameters_equal_torch(name, settings):
    torch = pytest.importorskip("torch")
    _, mine = train(fb, name, settings, dtype="complex64", steps=4)
    _, theirs = train(torch, name, settings, dtype="complex64", steps=4)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "settings"), CONFIGS)
def test_states_are_interchangeable(name, settings):
    torch = pytest.importorskip("torch")
    other, theirs = train(torch, name, settings, steps=4)
    state = {
        "state": {
            i: {k: fb.from_numpy(np.array(numpy(v))) for k, v in s.items()}
            for i, s in other.state_dict()["state"].items()},
        "param_groups": other.state_dict()["param_groups"]}
    mine = [nn.Parameter(fb.from_numpy(np.array(numpy(p)))) for p in theirs]
    opt = getattr(optim, name)(mine, **settings)
    opt.load_state_dict(state)
    assert opt.state_dict()["param_groups"] == other.state_dict()["param_groups"]
    for i, (p, q) in enumerate(zip(mine, theirs, strict=True)):
        grad = array(500 + i, *p.shape)
        p.grad, q.grad = fb.from_numpy(np.array(grad)), torch.from_numpy(np.array(grad))
    opt.step()
    other.step()
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=2e-6, atol=1e-7)


def rosenbrock(ns, **settings):
    x = ns.nn.Parameter(ns.tensor([-1.5, 2.0], dtype=ns.float64))
    opt = ns.optim.LBFGS([x], **settings)
    losses = []

    def closure():
        opt.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(5):
        opt.step(closure)
    state = next(iter(opt.state.values()))
    return losses, x.tolist(), state["func_evals"], state["n_iter"]


@pytest.mark.parametrize("settings", [
    {"line_search_fn": "strong_wolfe"}, {"lr": 1e-3}, {"max_eval": 4, "lr": 1e-2},
    {"lr": 0.5, "line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2},
])
def test_lbfgs_equals_torch(settings):
    torch = pytest.importorskip("torch")
    losses, x, *counts = rosenbrock(fb, **settings)
    their_losses, their_x, *their_counts = rosenbrock(torch, **settings)
    assert counts == their_counts
    np.testing.assert_allclose(losses, their_losses, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(x, their_x, rtol=1e-9)


def test_sparse_adam_touches_only_rows_with_gradient():
    torch = pytest.importorskip("torch")
    mine = nn.Parameter(fb.from_numpy(array(1, 4, 3)))
    theirs = torch.nn.Parameter(torch.from_numpy(array(1, 4, 3)))
    opt, other = optim.SparseAdam([mine], lr=0.1), torch.optim.SparseAdam([theirs], lr=0.1)
    for step, rows in enumerate(([0, 2], [2], [1, 2])):
        grad = np.zeros((4, 3), "float32")
        grad[rows] = array(step, len(rows), 3)
        mine.grad = fb.from_numpy(grad).to_sparse(1)
        theirs.grad = torch.from_numpy(grad).to_sparse(1)
        opt.step()
        other.step()
    np.testing.assert_allclose(numpy(mine), numpy(theirs), rtol=1e-5)


def test_large_and_strided_parameters_take_the_same_steps():
    torch = pytest.importorskip("torch")
    for name, settings in (("SGD", {"momentum": 0.9, "weight_decay": 0.1}), ("Adam", {})):
        found = []
        for ns in (fb, torch):
            big = ns.nn.Parameter(ns.from_numpy(array(1, 300, 200)))
            view = ns.nn.Parameter(ns.from_numpy(array(2, 6, 5)).t())
            opt = getattr(ns.optim, name)([big, view], lr=0.1, **settings)
            for step in range(3):
                big.grad = ns.from_numpy(array(step, 300, 200))
                view.grad = ns.from_numpy(array(step + 7, 5, 6))
                opt.step()
            found.append([numpy(big), numpy(view)])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_mixed_dtypes_in_one_group():
    single, double = nn.Parameter(fb.ones(3)), nn.Parameter(fb.ones(3, dtype=fb.float64))
    opt = optim.Adam([single, double], lr=0.1)
    for p in (single, double):
        p.grad = fb.ones_like(p.detach())
    opt.step()
    assert single.dtype is fb.float32 and double.dtype is fb.float64
    assert single.tolist() == pytest.approx([0.9] * 3) == double.tolist()


def test_writes_count_for_autograd():
    for name in ("SGD", "Adam"):
        p = nn.Parameter(fb.ones(3))
        opt = getattr(optim, name)([p], lr=0.1)
        loss = (p * p).sum()
        p.grad = fb.ones(3)
        opt.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "NAdam"])
def test_differentiable_steps(name):
    lr = 0.1
    start = fb.ones(2, requires_grad=True)
    p = start.clone()
    p.retain_grad()
    opt = getattr(optim, name)([p], lr=lr, differentiable=True)
    scale = fb.tensor(2.0, requires_grad=True)
    p.grad = scale * fb.tensor([1.0, 3.0])
    opt.step()
    p.sum().backward()
    assert scale.grad is not None
    assert start.grad.tolist() == [1.0, 1.0]
    if name == "SGD":
        assert scale.grad.item() == pytest.approx(-lr * 4)


@pytest.mark.parametrize("settings", [
    {"foreach": True}, {"fused": True}, {"foreach": False, "fused": False}])
def test_flags_change_nothing(settings):
    torch_like = importlib.import_module("flambeau")
    _, plain = train(torch_like, "Adam", {"lr": 0.1})
    _, flagged = train(torch_like, "Adam", {"lr": 0.1, **settings})
    for a, b in zip(plain, flagged, strict=True):
        assert bool((a == b).all())
