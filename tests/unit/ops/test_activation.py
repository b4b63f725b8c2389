"""Activation functions and softmax against PyTorch, with what their samples do not show."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradgradcheck
from flambeau.nn import functional as F
from flambeau.registry import OPS

EDGES = np.array([0.0, -0.0, 1e-3, -20.0, 30.0, 100.0, -100.0, math.inf, math.nan], np.float32)
NAMES = [
    "relu", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "gelu", "softplus", "softsign",
    "tanhshrink", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "logsigmoid",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 4), (), (0, 3), (97, 103)])
def test_against_torch(parity, rand, name, shape):
    parity(f"nn.functional.{name}", np.asarray(rand(*shape) * 3), tolerance=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_edges(name):
    torch = pytest.importorskip("torch")
    edges = EDGES[~np.isposinf(EDGES)] if name == "gelu" else EDGES  # torch: NaN at infinity
    want = getattr(torch.nn.functional, name)(torch.from_numpy(edges)).numpy()
    np.testing.assert_allclose(getattr(F, name)(fb.from_numpy(edges)).numpy(), want, 1e-5, 1e-6)


@pytest.mark.parametrize(("name", "options"), [
    ("leaky_relu", {"negative_slope": -0.3}), ("leaky_relu", {"negative_slope": 2.0}),
    ("leaky_relu", {"negative_slope": 0.0}), ("elu", {"alpha": 0.4}), ("celu", {"alpha": 1.7}),
    ("softplus", {"beta": 3, "threshold": 1}), ("hardtanh", {"min_val": -0.2, "max_val": 2.0}),
    ("threshold", {"threshold": 0.1, "value": -7.0}), ("gelu", {"approximate": "tanh"}),
    ("hardshrink", {"lambd": 1.0}), ("softshrink", {"lambd": 0.0}), ("glu", {"dim": 0}),
])
def test_options(parity, rand, name, options):
    parity(f"nn.functional.{name}", rand(6, 5), tolerance=1e-5, **options)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "gelu", "silu", "softplus", "elu", "mish"])
def test_half_precision_is_computed_in_single(name, rand):
    torch = pytest.importorskip("torch")
    x = rand(5, 7).astype(np.float16)
    want = getattr(torch.nn.functional, name)(torch.from_numpy(x).float()).half()
    got = getattr(F, name)(fb.from_numpy(x))
    assert got.dtype is fb.float16
    np.testing.assert_allclose(got.numpy(), want.numpy(), 2e-3)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("hardshrink", "softshrink")])
def test_second_derivatives(name):
    x = fb.tensor([-1.3, 0.4, 2.1], dtype=fb.float64, requires_grad=True)
    assert gradgradcheck(OPS[name].function, (x,))


@pytest.mark.parametrize("name", [
    "relu", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardtanh", "hardsigmoid",
    "hardswish"])
def test_in_place_gives_the_same_values_and_gradients(name, rand):
    x = fb.from_numpy(rand(3, 4)).requires_grad_()
    plain = getattr(F, name)(x * 1)
    scaled = x * 1
    written = getattr(F, name)(scaled, inplace=True)
    assert written is scaled
    np.testing.assert_array_equal(written.detach().numpy(), plain.detach().numpy())
    (a,) = fb.autograd.grad(plain.sum(), x)
    (b,) = fb.autograd.grad(written.sum(), x)
    np.testing.assert_allclose(b.numpy(), a.numpy(), 1e-6)


def test_relu_keeps_integers_and_refuses_booleans():
    assert fb.relu(fb.tensor([-2, 3])).tolist() == [0, 3]
    assert fb.relu(fb.tensor([-2, 3])).dtype is fb.int64
    with pytest.raises(RuntimeError, match="Boolean inputs not supported"):
        fb.relu(fb.tensor([True]))


def test_floating_inputs_are_asked_for():
    for name in ("gelu", "silu", "mish", "elu", "hardswish", "leaky_relu", "softplus"):
        with pytest.raises(NotImplementedError, match="int64"):
            getattr(F, name)(fb.tensor([1]))


def test_sigmoid_of_integers_and_complex_numbers():
    assert fb.sigmoid(fb.tensor([0])).tolist() == [0.5]
    z = np.array([0.3 + 1j, -2 - 0.5j], np.complex64)
    np.testing.assert_allclose(fb.sigmoid(fb.from_numpy(z)).numpy(), 1 / (1 + np.exp(-z)), 1e-6)


# ---- prelu, glu --------------------------------------------------------------------------------
@pytest.mark.parametrize(("x", "w"), [((4,), (1,)), ((2, 3), (3,)), ((2, 3, 4, 5), (3,)), ((), ())])
def test_prelu(parity, rand, x, w):
    parity("prelu", np.asarray(rand(*x)), np.asarray(rand(*w)))


def test_glu_refuses_odd_sizes():
    with pytest.raises(RuntimeError, match="dimension 1 is size 3"):
        F.glu(fb.ones(2, 3))


# ---- softmax -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [
    ((3, 4), 1), ((3, 4), 0), ((2, 3, 4), 1), ((5,), -1), ((), 0), ((0, 3), 1), ((3, 0), 0),
    ((4, 2000), 1)])
def test_softmax(parity, rand, name, shape, dim):
    parity(name, rand(*shape), dim)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_large_and_infinite_values(name):
    torch = pytest.importorskip("torch")
    x = np.array([[1e4, 1e4 - 1, -1e4], [-math.inf, 0.0, 1.0], [math.inf, 0.0, 1.0]], np.float32)
    want = getattr(torch, name)(torch.from_numpy(x), 1).numpy()
    np.testing.assert_allclose(getattr(fb, name)(fb.from_numpy(x), 1).numpy(), want, 1e-6)


def test_softmax_in_another_dtype_does_not_stick(rand):
    x = fb.from_numpy(rand(3, 4)).requires_grad_()
    assert fb.softmax(x, 1, fb.float64).dtype is fb.float64
    assert fb.softmax(x, 1).dtype is fb.float32
    fb.softmax(x, 1, dtype=fb.float64).sum().backward()
    assert x.grad.dtype is fb.float32
    assert fb.softmax(fb.tensor([1, 2]), 0, dtype=fb.float32).dtype is fb.float32


def test_softmax_refuses_integers():
    with pytest.raises(NotImplementedError, match="softmax"):
        fb.softmax(fb.tensor([1, 2]), 0)


def test_softmax_second_derivative():
    x = fb.randn(3, 4, dtype=fb.float64, requires_grad=True)
    assert gradgradcheck(lambda t: fb.softmax(t, 1), (x,))
    assert gradgradcheck(lambda t: fb.log_softmax(t, 0), (x,))
