"""Convolutions, against PyTorch: fused kernels, decompositions, gradients of gradients."""

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck
from flambeau.registry import OPS
from flambeau_cpu.kernels import TABLE

INTERNAL = ("convolution", "convolution_input_grad", "convolution_weight_grad", "channel_sum")


@pytest.fixture(params=["kernel", "decomposition"])
def path(request, monkeypatch):
    """Run a test on the fused kernels, and on the decompositions that other backends use."""
    if request.param == "decomposition":
        for name in INTERNAL:
            monkeypatch.delitem(TABLE.fresh, name)
            monkeypatch.setattr(OPS[name], "fast", OPS[name].fast.copy())
            OPS[name].fast.clear()


CASES = [
    ((2, 3, 9, 8), (4, 3, 3, 2), {}),
    ((2, 3, 9, 8), (4, 3, 3, 3), {"stride": 2, "padding": 1}),
    ((2, 3, 9, 8), (4, 3, 3, 2), {"stride": (1, 3), "padding": (2, 0), "dilation": (2, 1)}),
    ((2, 4, 7, 7), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    ((2, 4, 7, 7), (8, 1, 3, 3), {"groups": 4, "stride": 2}),
    ((2, 4, 7, 7), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    ((2, 3, 6, 6), (5, 3, 1, 1), {}),
    ((2, 3, 6, 6), (5, 3, 1, 1), {"stride": 2}),
    ((2, 3, 20, 20), (4, 3, 5, 5), {}),  # more windows per image: by channels
    ((2, 20, 6, 6), (4, 20, 3, 3), {"stride": 2}),  # input gradient by pixels
    ((1, 3, 8, 8), (4, 3, 3, 4), {"padding": "same"}),
    ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": "valid"}),
    ((3, 8, 8), (4, 3, 3, 3), {}),
    ((0, 3, 8, 8), (4, 3, 3, 3), {}),
    ((2, 3, 3, 3), (4, 3, 3, 3), {}),
]


@pytest.mark.parametrize(("x", "w", "options"), CASES)
@pytest.mark.usefixtures("path")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_conv2d(parity, rand, x, w, options):
    parity("nn.functional.conv2d", rand(*x), rand(*w), rand(w[0]), **options)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("options", [
    {}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"groups": 2}, {"padding": "same"}])
@pytest.mark.usefixtures("path")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_conv1d_and_conv3d(parity, rand, n, options):
    groups = options.get("groups", 1)
    parity(f"nn.functional.conv{n}d", rand(2, 4, *(7, 6, 5)[:n]),
           rand(4, 4 // groups, *(3, 2, 2)[:n]), rand(4), **options)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("options", [
    {}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2, "padding": 1},
    {"groups": 2, "stride": 3}, {"dilation": 3, "output_padding": 2}])
@pytest.mark.usefixtures("path")
def test_conv_transpose(parity, rand, n, options):
    groups = options.get("groups", 1)
    parity(f"nn.functional.conv_transpose{n}d", rand(2, 4, *(5, 4, 3)[:n]),
           rand(4, 6 // groups, *(3, 2, 2)[:n]), rand(6), **options)


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_blocks_join(parity, rand, batch):
    """Batches that are one block, several, and several with a rest."""
    parity("nn.functional.conv2d", rand(batch, 3, 32, 32), rand(6, 3, 5, 5), rand(6))
    parity("nn.functional.conv2d", rand(batch, 16, 10, 10), rand(6, 16, 5, 5), rand(6))


def test_channels_last_stays_channels_last(rand):
    x = flambeau.from_numpy(rand(2, 3, 8, 8)).contiguous(memory_format=flambeau.channels_last)
    w = flambeau.from_numpy(rand(4, 3, 3, 3))
    y = flambeau.conv2d(x, w, padding=1)
    assert y.is_contiguous(memory_format=flambeau.channels_last)
    np.testing.assert_allclose(y.numpy(), flambeau.conv2d(x.contiguous(), w, padding=1).numpy(),
                               1e-5, 1e-5)


def test_other_dtypes(parity, rand):
    parity("nn.functional.conv2d", rand(2, 3, 6, 6, dtype=np.float64),
           rand(4, 3, 3, 3, dtype=np.float64))
    z = (rand(2, 3, 6, 6) + 1j * rand(2, 3, 6, 6)).astype(np.complex64)
    w = (rand(4, 3, 3, 3) + 1j * rand(4, 3, 3, 3)).astype(np.complex64)
    parity("nn.functional.conv2d", z, w)
    parity("nn.functional.conv2d", np.arange(32).reshape(1, 2, 4, 4), np.ones((3, 2, 2, 2), int))


@pytest.mark.parametrize(("name", "options"), [
    ("conv2d", {"stride": 2, "padding": 1}), ("conv2d", {"groups": 2}),
    ("conv_transpose2d", {"stride": 2, "output_padding": 1})])
def test_double_backward(rand, name, options):
    groups = options.get("groups", 1)
    shapes = ((2, 2, 4, 4), (2, 2 // groups, 3, 3), (2,))
    x, w, b = (flambeau.from_numpy(rand(*s, dtype=np.float64)).requires_grad_() for s in shapes)
    function = OPS[name].function
    assert gradgradcheck(lambda *t: function(*t, **options) ** 2, (x, w, b))


@pytest.mark.parametrize(("change", "message"), [
    ({"weight": (4, 2, 3, 3)}, "to have 2 channels, but got 3 channels"),
    ({"weight": (4, 3, 9, 3)}, r"Kernel size: \(9 x 3\)"),
    ({"bias": (3,)}, "1-dimensional with 4 elements"),
    ({"stride": 0}, "non-positive stride"),
    ({"padding": -1}, "negative padding"),
    ({"dilation": 0}, "non-positive dilation"),
    ({"groups": 3}, "to have 9 channels|divisible by 3"),
    ({"stride": (1, 1, 1)}, "list of 2 values"),
    ({"padding": "full"}, "Invalid padding string"),
    ({"padding": "same", "stride": 2}, "strided"),
])
def test_refusals(change, message):
    sizes = {"weight": (4, 3, 3, 3), **{k: v for k, v in change.items() if k == "bias"}}
    sizes.update({k: v for k, v in change.items() if k == "weight"})
    tensors = {k: flambeau.ones(*v) for k, v in sizes.items()}
    options = {k: v for k, v in change.items() if k not in ("weight", "bias")}
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message):
            flambeau.conv2d(flambeau.ones(2, 3, 8, 8), **tensors, **options)


def test_mixed_dtypes_are_named():
    x, w = flambeau.ones(1, 1, 3, 3), flambeau.ones(1, 1, 2, 2, dtype=flambeau.float64)
    with pytest.raises(RuntimeError, match=r"Input type \(float32\) and weight type \(float64\)"):
        flambeau.conv2d(x, w)
