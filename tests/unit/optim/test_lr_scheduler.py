"""Schedules: the same rates as PyTorch's, bit for bit."""

from __future__ import annotations

import copy
import math
import warnings

import pytest

import flambeau as fb
from flambeau import nn, optim
from flambeau.optim import lr_scheduler


def halve(epoch):
    return 0.5**epoch


class Decay:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return self.rate**epoch


SCHEDULES = {
    "step": lambda s, o: s.StepLR(o, 3, 0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [2, 2, 7], 0.3),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "linear": lambda s, o: s.LinearLR(o, 0.2, 0.9, 6),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, 8, 1.7),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.001),
    "restarts_equal": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4),
    "lambda": lambda s, o: s.LambdaLR(o, [halve, Decay(0.7)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, halve),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, [0.1, 0.3], 4, 3),
    "cyclic2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="triangular2"),
    "cyclic_exp": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9),
    "cyclic_fn": lambda s, o: s.CyclicLR(
        o, 0.01, 0.1, 3, scale_fn=lambda x: 1 / x, cycle_momentum=False),
    "one_cycle": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=20),
    "one_cycle_linear": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.2], epochs=4, steps_per_epoch=5, anneal_strategy="linear", three_phase=True),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.ExponentialLR(o, 0.8),
            s.CosineAnnealingLR(o, 3)], [4, 8]),
    "chained": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 4)]),
}


CORNERS = {
    "sequence of chains": lambda s, o: s.SequentialLR(o, [
        s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)], optimizer=o),
        s.StepLR(o, 2)], [5]),
    "chain of sequences": lambda s, o: s.ChainedScheduler([
        s.SequentialLR(o, [s.ConstantLR(o, 0.5, 2), s.ExponentialLR(o, 0.9)], [4]),
        s.StepLR(o, 7)]),
    "sequence of sequences": lambda s, o: s.SequentialLR(o, [
        s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=3), s.CosineAnnealingLR(o, 4)], [3]),
        s.CosineAnnealingWarmRestarts(o, 3)], [10]),
    "milestone 0": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.8)], [0]),
    "equal milestones": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.8), s.StepLR(o, 1)], [3, 3]),
    "then one cycle": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=3), s.OneCycleLR(o, 0.5, total_steps=60)], [3]),
    "cyclic first": lambda s, o: s.SequentialLR(
        o, [s.CyclicLR(o, 0.01, 0.1, 3, cycle_momentum=False), s.ExponentialLR(o, 0.9)], [7]),
    "functions": lambda s, o: s.SequentialLR(o, [
        s.LambdaLR(o, lambda e: e / 10 + 0.1), s.MultiplicativeLR(o, lambda e: 0.95),
        s.PolynomialLR(o, 5, 2)], [4, 20]),
    "chain of cosine and line": lambda s, o: s.ChainedScheduler(
        [s.CosineAnnealingLR(o, 7, 0.01), s.LinearLR(o, 0.5, 1, 10)]),
    "restarts grow": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 3, 0.01),
    "cyclic by iterations": lambda s, o: s.CyclicLR(
        o, 0.01, 0.1, 5, 7, scale_fn=lambda i: 0.99**i, scale_mode="iterations"),
    "one cycle in three": lambda s, o: s.OneCycleLR(
        o, 0.5, total_steps=60, pct_start=0.1, div_factor=5, final_div_factor=100,
        base_momentum=0.8, max_momentum=0.9),
}


def optimizer(ns, kind="SGD"):
    params = [{"params": [ns.nn.Parameter(ns.zeros(1))], "lr": 0.2},
              {"params": [ns.nn.Parameter(ns.zeros(1))]}]
    extra = {"momentum": 0.5} if kind == "SGD" else {}
    return getattr(ns.optim, kind)(params, lr=0.05, **extra)


def trajectory(ns, make, kind="SGD", steps=19):
    import importlib

    schedules = importlib.import_module(f"{ns.__name__}.optim.lr_scheduler")
    opt = optimizer(ns, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedule = make(schedules, opt)
        rows = []
        for _ in range(steps):
            rows.append([
                (g["lr"], g.get("momentum"), g.get("betas")) for g in opt.param_groups])
            rows.append(list(schedule.get_last_lr()))
            opt.step()
            schedule.step()
    return rows, schedule


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_equals_torch(name, kind):
    torch = pytest.importorskip("torch")
    steps = 19 if name.startswith("one_cycle") else 50
    mine, schedule = trajectory(fb, SCHEDULES[name], kind, steps)
    theirs, other = trajectory(torch, SCHEDULES[name], kind, steps)
    assert mine == theirs
    assert set(schedule.state_dict()) >= {"last_epoch"} - (
        {"last_epoch"} if name == "chained" else set())
    assert schedule.state_dict()["_last_lr"] == other.state_dict()["_last_lr"]


def going_on(ns, schedule, steps):
    """Rates and momenta over some more steps."""
    opt, rows = schedule.optimizer, []
    for _ in range(steps):
        opt.step()
        schedule.step()
        rows.append([schedule.get_last_lr(), [(g["lr"], g["momentum"]) for g in opt.param_groups]])
    return rows


@pytest.mark.parametrize("name", CORNERS)
def test_corners_and_states_equal_torch(name):
    torch = pytest.importorskip("torch")
    assert trajectory(fb, CORNERS[name], steps=50)[0] == (
        trajectory(torch, CORNERS[name], steps=50)[0])
    for source, target in ((torch, fb), (fb, torch)):  # a state goes over after nine steps
        _, schedule = trajectory(source, CORNERS[name], steps=9)
        _, other = trajectory(target, CORNERS[name], steps=2)
        other.load_state_dict(copy.deepcopy(schedule.state_dict()))
        for mine, theirs in zip(
                other.optimizer.param_groups, schedule.optimizer.param_groups, strict=True):
            mine.update({k: v for k, v in theirs.items() if k != "params"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert going_on(target, other, 20) == going_on(source, schedule, 20)


@pytest.mark.parametrize("name", [
    "step", "multistep", "constant", "linear", "exponential", "polynomial", "cosine"])
def test_given_epochs_equal_torch(name):
    torch = pytest.importorskip("torch")

    def rates(ns):
        _, schedule = trajectory(ns, SCHEDULES[name], steps=1)
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for epoch in (7, 2, 5, 12):
                schedule.step(epoch)
                found.append(schedule.get_last_lr())
        return found

    assert rates(fb) == rates(torch)


def test_restarts_within_epochs_equal_torch():
    torch = pytest.importorskip("torch")

    def rates(ns):
        _, schedule = trajectory(ns, SCHEDULES["restarts"], steps=1)
        found = []
        for i in range(30):
            schedule.step(i / 3)
            found.append((schedule.get_last_lr(), schedule.T_i))
        return found

    assert rates(fb) == rates(torch)


@pytest.mark.parametrize("name", SCHEDULES)
def test_state_continues(name):
    opt = optimizer(fb)
    schedule = SCHEDULES[name](lr_scheduler, opt)
    for _ in range(5):
        opt.step()
        schedule.step()
    saved = copy.deepcopy((opt.state_dict(), schedule.state_dict()))
    want = []
    for _ in range(5):
        opt.step()
        schedule.step()
        want.append(schedule.get_last_lr())
    again = optimizer(fb)
    other = SCHEDULES[name](lr_scheduler, again)
    again.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    got = []
    for _ in range(5):
        again.step()
        other.step()
        got.append(other.get_last_lr())
    assert got == want


def test_plateau_equals_torch():
    torch = pytest.importorskip("torch")
    measures = [1.0, 0.9, 0.95, 0.93, 0.92, 0.91, 0.89995, 0.95, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9]

    def rates(ns, **settings):
        import importlib

        schedules = importlib.import_module(f"{ns.__name__}.optim.lr_scheduler")
        opt = optimizer(ns)
        schedule = schedules.ReduceLROnPlateau(opt, patience=1, **settings)
        found = []
        for m in measures:
            schedule.step(m)
            found.append((schedule.get_last_lr(), schedule.best, schedule.num_bad_epochs))
        return found

    for settings in (
        {}, {"mode": "max", "factor": 0.5}, {"threshold_mode": "abs", "threshold": 0.05},
        {"cooldown": 2, "min_lr": [0.01, 0.04]}, {"mode": "max", "threshold_mode": "abs"},
        {"min_lr": 0.03, "eps": 0.1},
    ):
        assert rates(fb, **settings) == rates(torch, **settings)


def test_a_tensor_stays_the_rate():
    lr = fb.tensor(0.5)
    opt = optim.SGD([nn.Parameter(fb.zeros(1))], lr=lr)
    schedule = lr_scheduler.ExponentialLR(opt, 0.5)
    opt.step()
    schedule.step()
    assert opt.param_groups[0]["lr"] is lr and lr.item() == 0.25
    assert schedule.base_lrs[0].item() == 0.5


def test_going_on_from_an_epoch():
    opt = optimizer(fb)
    with pytest.raises(KeyError, match="'initial_lr' is not specified in param_groups\\[0\\]"):
        lr_scheduler.StepLR(opt, 3, last_epoch=4)
    for group in opt.param_groups:
        group["initial_lr"] = group["lr"]
    schedule = lr_scheduler.CosineAnnealingLR(opt, 10, last_epoch=4)
    assert schedule.last_epoch == 5


def test_order_of_calls():
    opt = optimizer(fb)
    schedule = lr_scheduler.StepLR(opt, 3)
    with pytest.warns(UserWarning, match="before `optimizer.step\\(\\)`"):
        schedule.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()
        other = optimizer(fb)
        schedule = lr_scheduler.StepLR(other, 3)
        other.step()
        schedule.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()


def test_cosine_ends_at_its_least():
    opt = optimizer(fb)
    schedule = lr_scheduler.CosineAnnealingLR(opt, 10)
    for _ in range(10):
        opt.step()
        schedule.step()
    assert math.isclose(schedule.get_last_lr()[0], 0.0, abs_tol=1e-12)


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda o: lr_scheduler.StepLR(3, 1), TypeError, "int is not an Optimizer"),
    (lambda o: lr_scheduler.ConstantLR(o, 2), ValueError, "expected to be between 0 and 1"),
    (lambda o: lr_scheduler.LinearLR(o, 0), ValueError, "Starting multiplicative factor"),
    (lambda o: lr_scheduler.LinearLR(o, 1, 2), ValueError, "Ending multiplicative factor"),
    (lambda o: lr_scheduler.LambdaLR(o, [halve]), ValueError, "Expected 2 lr_lambdas, but got 1"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "positive integer T_0"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1, 0), ValueError, "T_mult >= 1"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1), ValueError, "You must define either total_steps"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1, 0), ValueError, "positive integer total_steps"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1, 5, pct_start=2), ValueError, "between 0 and 1 pct"),
    (lambda o: lr_scheduler.OneCycleLR(o, [1], 5), ValueError, "max_lr must have the same length"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1, 5, anneal_strategy="x"), ValueError, "'cos' or"),
    (lambda o: lr_scheduler.CyclicLR(o, 0, 1, mode="x"), ValueError, "mode is invalid"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, "x"), ValueError, "mode x is unknown!"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1), ValueError, "should be < 1.0"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[1]), ValueError, "expected 2 min_lrs"),
    (lambda o: lr_scheduler.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [1]), ValueError,
     "one more than the number of milestone points"),
    (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(o)]), ValueError,
     "does not support `ReduceLROnPlateau`"),
    (lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.StepLR(o, 1), lr_scheduler.StepLR(optimizer(fb), 1)]), ValueError,
     "belong to the same optimizer"),
])
def test_refused(make, error, words):
    with pytest.raises(error) as info:
        make(optimizer(fb))
    assert words in str(info.value)


def test_momentum_needs_an_optimizer_that_has_it():
    opt = optim.Adagrad([nn.Parameter(fb.zeros(1))])
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        lr_scheduler.OneCycleLR(opt, 1.0, 5)


def test_no_steps_after_one_cycle():
    opt = optimizer(fb)
    schedule = lr_scheduler.OneCycleLR(opt, 1.0, 2)
    opt.step()
    schedule.step()
    schedule.step()
    with pytest.raises(ValueError, match="Tried to step 3 times"):
        schedule.step()
