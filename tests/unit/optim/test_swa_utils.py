"""Averages of weights."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.optim import swa_utils


def run(ns, make, steps=4, **settings):
    utils = importlib.import_module(f"{ns.__name__}.optim.swa_utils")
    ns.manual_seed(1)
    model = ns.nn.Sequential(ns.nn.Linear(2, 3), ns.nn.BatchNorm1d(3))
    averaged = utils.AveragedModel(model, **make(utils), **settings)
    for i in range(steps):
        with ns.no_grad():
            for p in model.parameters():
                p.add_(0.5 * (i + 1))
        model(ns.ones(4, 2) * i)
        averaged.update_parameters(model)
    return {k: v.numpy() for k, v in averaged.state_dict().items()}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("make", [
    lambda u: {}, lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)},
    lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
    lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()}])
def test_averages_equal_torch(make, use_buffers):
    torch = pytest.importorskip("torch")
    if use_buffers and "get_swa_multi" in str(make.__code__.co_names):
        pytest.skip("PyTorch divides integer buffers, which it refuses")
    mine, theirs = (run(ns, make, use_buffers=use_buffers) for ns in (fb, torch))
    assert list(mine) == list(theirs)
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-5, atol=1e-6)


def test_statistics_anew():
    model = nn.Sequential(nn.BatchNorm1d(2)).eval()
    data = [fb.randn(5, 2) for _ in range(3)]
    swa_utils.update_bn([(x, 0) for x in data], model)
    means = [x.mean(0) for x in data]
    want = (means[0] + means[1] + means[2]) / 3
    np.testing.assert_allclose(model[0].running_mean.numpy(), want.numpy(), rtol=1e-4, atol=1e-6)
    assert model[0].momentum == 0.1 and not model.training


@pytest.mark.parametrize("settings", [
    {}, {"anneal_epochs": 4, "anneal_strategy": "linear"}, {"anneal_epochs": 0}])
def test_rates_equal_torch(settings):
    torch = pytest.importorskip("torch")

    def rates(ns):
        utils = importlib.import_module(f"{ns.__name__}.optim.swa_utils")
        opt = ns.optim.SGD([ns.nn.Parameter(ns.zeros(1))], lr=0.5)
        schedule = utils.SWALR(opt, 0.05, **settings)
        found = []
        for _ in range(12):
            opt.step()
            schedule.step()
            found.append(schedule.get_last_lr())
        return found

    assert rates(fb) == rates(torch)


def test_refused():
    opt = fb.optim.SGD([nn.Parameter(fb.zeros(1))])
    with pytest.raises(ValueError, match="Invalid decay value 2"):
        swa_utils.get_ema_avg_fn(2)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(
            nn.Identity(), avg_fn=swa_utils.get_swa_avg_fn(),
            multi_avg_fn=swa_utils.get_swa_multi_avg_fn())
    with pytest.raises(ValueError, match="'cos' or 'linear'"):
        swa_utils.SWALR(opt, 0.1, anneal_strategy="x")
    with pytest.raises(ValueError, match="equal or greater than 0"):
        swa_utils.SWALR(opt, 0.1, anneal_epochs=-1)
    with pytest.raises(NotImplementedError, match="splitting batches over 2 devices"):
        nn.DataParallel(nn.Identity(), device_ids=[0, 1])
