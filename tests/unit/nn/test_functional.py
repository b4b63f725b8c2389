"""Functions whose signatures here differ from the operators'."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.nn import functional as F

INPLACE = [
    ("relu", ()), ("relu6", ()), ("elu", (0.5,)), ("selu", ()), ("celu", (0.7,)), ("silu", ()),
    ("mish", ()), ("leaky_relu", (0.2,)), ("hardtanh", (-0.5, 0.5)), ("hardsigmoid", ()),
    ("hardswish", ()), ("threshold", (0.1, 3.0)),
]


def values():
    return np.linspace(-4, 4, 12, dtype="float32").reshape(3, 4)


@pytest.mark.parametrize(("name", "settings"), INPLACE)
def test_inplace_forms_equal_torch(name, settings):
    torch = pytest.importorskip("torch")

    def run(ns, inplace):
        leaf = ns.from_numpy(values()).requires_grad_()
        x = leaf * 1
        out = getattr(ns.nn.functional, name)(x, *settings, inplace=inplace)
        assert (out is x) is inplace
        out.sum().backward()
        return out.detach().numpy(), leaf.grad.numpy()

    want = run(torch, False)
    for inplace in (False, True):
        for mine, theirs in zip(run(fb, inplace), want, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [
    "relu_", "elu_", "selu_", "celu_", "leaky_relu_", "hardtanh_"])
def test_names_with_underscore_write(name):
    x = fb.from_numpy(values())
    want = getattr(F, name[:-1])(x.clone())
    assert getattr(F, name)(x) is x and bool((x == want).all())


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_softmax_may_guess_its_dimension(name):
    x = fb.from_numpy(values())
    with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name}"):
        guessed = getattr(F, name)(x)
    assert guessed.tolist() == getattr(F, name)(x, 1).tolist()
    assert getattr(F, name)(x, dim=-1, dtype=fb.float64).dtype is fb.float64


def test_triplets_with_a_distance():
    def manhattan(a, b):
        return (a - b).abs().sum(-1)

    anchor, near, far = fb.zeros(2, 3), fb.full((2, 3), 0.1), fb.ones(2, 3)
    loss = F.triplet_margin_with_distance_loss(
        anchor, near, far, distance_function=manhattan, margin=3.0, swap=True, reduction="none")
    np.testing.assert_allclose(loss.tolist(), [3.0 + 0.3 - 2.7] * 2, rtol=1e-5)


@pytest.mark.parametrize(("act", "error", "words"), [
    (lambda: F.hardtanh(fb.ones(1), 2, 1), ValueError, "min_val cannot be greater than max_val"),
    (lambda: F.triplet_margin_with_distance_loss(*[fb.ones(1)] * 3, margin=0), ValueError,
     "margin must be greater than 0"),
    (lambda: F.triplet_margin_with_distance_loss(*[fb.ones(1)] * 3, reduction="x"), ValueError,
     "x is not a valid value for reduction"),
    (lambda: F.linear_cross_entropy(fb.ones(1, 2, 3), fb.ones(4, 3), fb.zeros(1)), RuntimeError,
     "dimensionality 1 or 2, got 3"),
    (lambda: F.linear_cross_entropy(fb.ones(2, 3), fb.ones(4, 2), fb.zeros(1)), RuntimeError,
     "expected equal input and linear_weight last dimensions"),
    (lambda: F.nonsense, AttributeError, "nonsense"),
])
def test_refused(act, error, words):
    with pytest.raises(error) as info:
        act()
    assert words in str(info.value)


def test_time_first_convolution_equals_torch():
    torch = pytest.importorskip("torch")

    def run(ns):
        def make(seed, *shape):
            made = np.random.default_rng(seed).standard_normal(shape).astype("float32")
            return ns.from_numpy(made)

        return ns.nn.functional.conv_tbc(make(0, 5, 2, 3), make(1, 2, 3, 4), make(2, 4), 1).numpy()

    np.testing.assert_allclose(run(fb), run(torch), rtol=1e-5, atol=1e-6)
