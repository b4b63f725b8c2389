"""The base class: groups, states, hooks, errors."""

from __future__ import annotations

import copy
import pickle

import pytest

import flambeau as fb
from flambeau import nn, optim
from flambeau.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    required,
)


def parameter(*shape):
    p = nn.Parameter(fb.ones(*shape or (2,)))
    p.grad = fb.ones(*shape or (2,))
    return p


def test_groups_have_settings_of_their_own():
    a, b, c = parameter(), parameter(), parameter()
    opt = optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.5, momentum=0.1)
    opt.add_param_group({"params": [c], "lr": 0.0})
    assert [g["lr"] for g in opt.param_groups] == [1.0, 0.5, 0.0]
    opt.step()
    assert [p.tolist()[0] for p in (a, b, c)] == [0.0, 0.5, 1.0]


def test_named_parameters():
    module = nn.Linear(2, 1)
    opt = optim.Adam(module.named_parameters())
    assert opt.param_groups[0]["param_names"] == ["weight", "bias"]
    assert opt.param_groups[0]["params"] == [module.weight, module.bias]
    other = optim.Adam(nn.Linear(2, 1).named_parameters())
    other.load_state_dict(opt.state_dict())
    assert other.param_groups[0]["param_names"] == ["weight", "bias"]


def test_zero_grad():
    p = parameter()
    opt = optim.SGD([p])
    opt.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0, 0.0]
    opt.zero_grad()
    assert p.grad is None


def test_a_closure_is_evaluated_with_gradients():
    p = nn.Parameter(fb.ones(1))
    opt = optim.SGD([p], lr=0.5)

    def closure():
        opt.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with fb.no_grad():
        assert opt.step(closure).item() == 1.0
    assert p.item() == 0.0


def test_state_dict_numbers_parameters():
    a, b = parameter(), parameter()
    opt = optim.SGD([{"params": [a]}, {"params": [b]}], momentum=0.5)
    opt.step()
    state = opt.state_dict()
    assert sorted(state["state"]) == [0, 1]
    assert [g["params"] for g in state["param_groups"]] == [[0], [1]]
    state["param_groups"][0]["lr"] = 7.0
    assert opt.param_groups[0]["lr"] != 7.0


def test_loading_takes_the_parameter_s_dtype():
    single, double = parameter(), nn.Parameter(fb.ones(2, dtype=fb.float64))
    opt = optim.Adam([single])
    opt.step()
    other = optim.Adam([double])
    other.load_state_dict(opt.state_dict())
    assert other.state[double]["exp_avg"].dtype is fb.float64
    assert other.state[double]["step"].dtype is fb.float32


def test_copies():
    p = parameter()
    opt = optim.Adam([p])
    opt.step()
    for other in (pickle.loads(pickle.dumps(opt)), copy.deepcopy(opt)):
        (q,) = other.param_groups[0]["params"]
        assert q is not p and other.state[q]["step"].item() == 1.0
        q.grad = fb.ones(2)
        other.step()
    assert opt.state[p]["step"].item() == 1.0


def test_step_hooks():
    p, calls = parameter(), []
    opt = optim.SGD([p], lr=1.0)
    handles = [
        register_optimizer_step_pre_hook(lambda o, a, k: calls.append("global pre")),
        register_optimizer_step_post_hook(lambda o, a, k: calls.append("global post")),
        opt.register_step_pre_hook(lambda o, a, k: calls.append("pre")),
        opt.register_step_post_hook(lambda o, a, k: calls.append("post")),
    ]
    opt.step()
    assert calls == ["global pre", "pre", "post", "global post"]
    for handle in handles:
        handle.remove()
    opt.step()
    assert len(calls) == 4
    opt.register_step_pre_hook(lambda o, a, k: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        opt.step()


def test_hooks_reach_user_s_optimizers():
    class Fixed(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

        def step(self, closure=None):
            return "stepped"

    opt, calls = Fixed([parameter()]), []
    opt.register_step_post_hook(lambda o, a, k: calls.append(1))
    assert opt.step() == "stepped" and calls == [1]


def test_state_hooks():
    p = parameter()
    opt, seen = optim.SGD([p]), []
    opt.register_state_dict_pre_hook(lambda o: seen.append("save"))
    opt.register_state_dict_post_hook(lambda o, s: {**s, "more": 1})
    opt.register_load_state_dict_pre_hook(lambda o, s: seen.append(s.pop("more")))
    opt.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    opt.load_state_dict(opt.state_dict())
    assert seen == ["save", 1, "loaded"]


def test_repr():
    assert repr(optim.SGD([parameter()], lr=0.5)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n"
        "    foreach: None\n    fused: None\n    lr: 0.5\n    maximize: False\n    momentum: 0\n"
        "    nesterov: False\n    weight_decay: 0\n)")


def test_parameters_without_gradient_stay():
    a, b = parameter(), nn.Parameter(fb.ones(2))
    for name in ("SGD", "Adam", "RMSprop"):
        getattr(optim, name)([a, b], lr=0.1).step()
    assert b.tolist() == [1.0, 1.0]


def test_duplicates_warn():
    p = parameter()
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p])


def matrix():
    return nn.Parameter(fb.ones(2, 2))


@pytest.mark.parametrize(("act", "error", "words"), [
    (lambda p: optim.SGD(p), TypeError, "should be an iterable of Tensors or dicts"),
    (lambda p: optim.SGD([]), ValueError, "empty parameter list"),
    (lambda p: optim.SGD([3]), TypeError, "one of the params is int"),
    (lambda p: optim.SGD([{"params": {p}}]), TypeError, "ordering of tensors in sets"),
    (lambda p: optim.SGD([p * 1]), ValueError, "can't optimize a non-leaf Tensor"),
    (lambda p: optim.SGD([{"params": p}, {"params": p}]), ValueError, "more than one parameter g"),
    (lambda p: optim.SGD([("a", p), parameter()]), ValueError, "with/without names"),
    (lambda p: optim.SGD([p]).add_param_group(3), TypeError, "param_group must be a dict"),
    (lambda p: optim.Optimizer([p], {"lr": required}), ValueError, "required optimization"),
    (lambda p: optim.Optimizer([p], {}).step(), NotImplementedError, ""),
    (lambda p: optim.SGD([p]).load_state_dict(optim.SGD([p, parameter()]).state_dict()),
     ValueError, "doesn't match the size of optimizer's group"),
    (lambda p: optim.SGD([p]).load_state_dict(
        optim.SGD([{"params": p}, {"params": parameter()}]).state_dict()),
     ValueError, "different number of parameter groups"),
    (lambda p: optim.SGD([p], lr=-1), ValueError, "Invalid learning rate: -1"),
    (lambda p: optim.SGD([p], momentum=-1), ValueError, "Invalid momentum value: -1"),
    (lambda p: optim.SGD([p], nesterov=True), ValueError, "Nesterov momentum requires"),
    (lambda p: optim.Adam([p], betas=(1, 0.9)), ValueError, "beta parameter at index 0: 1"),
    (lambda p: optim.Adam([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
    (lambda p: optim.Adam([p], fused=True, foreach=True), RuntimeError, "cannot be `True` tog"),
    (lambda p: optim.Adam([p], fused=True, differentiable=True), RuntimeError, "not support"),
    (lambda p: optim.Adam([p], lr=fb.ones(2)), ValueError, "Tensor lr must be 1-element"),
    (lambda p: optim.Adam([p], lr=fb.ones(1), foreach=True), ValueError, "lr as a Tensor is not"),
    (lambda p: optim.Adam([p], betas=(fb.tensor(0.9), 0.9)), ValueError, "both floats or both"),
    (lambda p: optim.NAdam([p], momentum_decay=-1), ValueError, "Invalid momentum_decay value"),
    (lambda p: optim.Adagrad([p], lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
    (lambda p: optim.Adadelta([p], rho=2), ValueError, "Invalid rho value: 2"),
    (lambda p: optim.RMSprop([p], alpha=-1), ValueError, "Invalid alpha value: -1"),
    (lambda p: optim.Rprop([p], etas=(2, 1)), ValueError, "Invalid eta values: 2, 1"),
    (lambda p: optim.Adafactor([p], d=0.5), ValueError, "Clipping threshold d should be >= 1"),
    (lambda p: optim.Muon([p]), ValueError, "Muon only supports 2D parameters"),
    (lambda p: optim.Muon([matrix()], adjust_lr_fn="x"), ValueError, "x is not supported"),
    (lambda p: optim.LBFGS([{"params": p}, {"params": parameter()}]), ValueError,
     "doesn't support per-parameter options"),
    (lambda p: optim.SparseAdam([p], eps=0), ValueError, "Invalid epsilon value: 0"),
])
def test_refused(act, error, words):
    with pytest.raises(error) as info:
        act(parameter())
    assert words in str(info.value)
