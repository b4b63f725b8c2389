"""Means of windows, against PyTorch."""

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck
from flambeau.registry import OPS
from flambeau_cpu.kernels import TABLE

pool2d = OPS["avg_pool2d"].function


@pytest.fixture(params=["kernel", "decomposition"])
def path(request, monkeypatch):
    """Run a test on the fused kernels, and on the decompositions that other backends use."""
    if request.param == "decomposition":
        for name in ("avg_pool_windows", "avg_pool_spread"):
            monkeypatch.delitem(TABLE.fresh, name)
            monkeypatch.setattr(OPS[name], "fast", {})


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("options", [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True, "count_include_pad": False},
    {"kernel_size": 1},
])
@pytest.mark.usefixtures("path")
def test_avg_pool(parity, rand, n, options):
    parity(f"nn.functional.avg_pool{n}d", rand(2, 3, *(9, 8, 7)[:n]), **options)


@pytest.mark.usefixtures("path")
def test_divisor_unbatched_and_empty_batch(parity, rand):
    parity("nn.functional.avg_pool2d", rand(2, 3, 6, 6), 3, 2, 1, divisor_override=7)
    parity("nn.functional.avg_pool2d", rand(3, 6, 6), (2, 3))
    parity("nn.functional.avg_pool2d", rand(0, 3, 6, 6), 2)
    parity("nn.functional.avg_pool2d", np.arange(16).reshape(1, 4, 4) - 9, 2)


@pytest.mark.usefixtures("path")
def test_double_backward(rand):
    x = flambeau.from_numpy(rand(1, 2, 5, 5, dtype=np.float64)).requires_grad_()
    assert gradgradcheck(lambda t: pool2d(t, 3, 2, 1) ** 2, (x,))


@pytest.mark.parametrize(("args", "message"), [
    ((0,), "greater than zero"), ((2, None, 2), "at most half"), ((9,), "too small"),
    ((2, None, 0, False, True, 0), "divisor must be not zero")])
def test_refusals(args, message):
    with pytest.raises(RuntimeError, match=message):
        pool2d(flambeau.ones(2, 3, 8, 8), *args)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("norm", [2.0, 3.0])
def test_lp_pool(parity, rand, n, norm):
    parity(f"nn.functional.lp_pool{n}d", np.abs(rand(2, 3, *(6, 6, 6)[:n])) + 0.1, norm, 2)
