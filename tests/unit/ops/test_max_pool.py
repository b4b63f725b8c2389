"""Greatest values of windows, against PyTorch."""

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck
from flambeau.registry import OPS
from flambeau_cpu.kernels import TABLE

INTERNAL = ("max_pool_windows", "max_pool_values", "max_pool_scatter", "max_pool_gather")
pool2d = OPS["max_pool2d"].function


@pytest.fixture(params=["kernel", "decomposition"])
def path(request, monkeypatch):
    """Run a test on the fused kernels, and on the decompositions that other backends use."""
    if request.param == "decomposition":
        for name in INTERNAL:
            monkeypatch.delitem(TABLE.fresh, name)
            monkeypatch.setattr(OPS[name], "fast", {})


OPTIONS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True},
    {"kernel_size": 1},
]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("indices", [False, True])
@pytest.mark.usefixtures("path")
def test_max_pool(parity, rand, n, options, indices):
    x = np.round(rand(2, 3, *(9, 8, 7)[:n]) * 2)  # with ties
    parity(f"nn.functional.max_pool{n}d", x, return_indices=indices, **options)


@pytest.mark.usefixtures("path")
def test_unbatched_and_empty_batch(parity, rand):
    parity("nn.functional.max_pool2d", rand(3, 6, 6), 2)
    parity("nn.functional.max_pool2d", rand(0, 3, 6, 6), 2)
    parity("nn.functional.max_pool2d_with_indices", rand(3, 6, 6), (2, 3))


@pytest.mark.usefixtures("path")
def test_nan_wins(rand):
    x = rand(1, 1, 4, 4)
    x[0, 0, 1, 0] = np.nan
    t = flambeau.from_numpy(x).requires_grad_()
    out, where = pool2d(t, 2, return_indices=True)
    assert np.isnan(out.detach().numpy()[0, 0, 0, 0])
    assert where[0, 0, 0, 0].item() == 4
    assert np.isnan(pool2d(t.detach(), 2).numpy()[0, 0, 0, 0])


@pytest.mark.usefixtures("path")
def test_an_infinite_gradient_stays_in_its_place():
    x = flambeau.tensor([[[[0.0, 1.0], [2.0, 3.0]]]], requires_grad=True)
    pool2d(x, 2).backward(flambeau.full((1, 1, 1, 1), float("inf")))
    assert x.grad.tolist() == [[[[0, 0], [0, float("inf")]]]]


def test_integers(parity):
    parity("nn.functional.max_pool2d", np.arange(-8, 8).reshape(1, 1, 4, 4), 3, 1, 1)


@pytest.mark.usefixtures("path")
def test_double_backward(rand):
    x = flambeau.from_numpy(rand(1, 2, 5, 5, dtype=np.float64)).requires_grad_()
    assert gradgradcheck(lambda t: pool2d(t, 3, 2, 1) ** 2, (x,))


@pytest.mark.parametrize(("args", "message"), [
    ((0,), "greater than zero"), ((2, 0), "should not be zero"), ((2, None, 2), "at most half"),
    ((2, None, -1), "non-negative"), ((9,), r"\(3x8x8\).*\(3x0x0\).*too small"),
    (((2, 2, 2),), "tuple of two ints"), ((2, None, 0, 0), "dilation should be greater"),
])
def test_refusals(args, message):
    with pytest.raises(RuntimeError, match=message):
        pool2d(flambeau.ones(2, 3, 8, 8), *args)


def test_shapes_and_dtypes_that_are_refused():
    with pytest.raises(RuntimeError, match=r"Expected 3D or 4D .* got: \[8, 8\]"):
        pool2d(flambeau.ones(8, 8), 2)
    with pytest.raises(NotImplementedError, match="bool"):
        pool2d(flambeau.ones(1, 8, 8) > 0, 2)
