"""Initialisation: PyTorch's numbers for the same seed, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import init

DRAWING = [
    ("uniform_", (-0.3, 0.2), (3, 7)), ("normal_", (0.5, 2.0), (40, 5)), ("normal_", (), (3,)),
    ("xavier_uniform_", (1.7,), (5, 6)), ("xavier_normal_", (), (5, 4, 3)),
    ("kaiming_uniform_", (), (8, 3, 2, 2)), ("kaiming_uniform_", (0.1, "fan_out"), (5, 6)),
    ("kaiming_normal_", (0, "fan_in", "relu"), (30, 20)), ("sparse_", (0.4, 0.1), (10, 6)),
    ("trunc_normal_", (), (50, 8)), ("trunc_normal_", (0.0, 1.0, 2.5, 3.0), (50, 8)),
    ("trunc_normal_", (1.0, 0.5, -0.2, 0.4), (100,)),
]


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize(("name", "settings", "shape"), DRAWING)
def test_equals_torch(name, settings, shape):
    torch = pytest.importorskip("torch")
    fb.manual_seed(11)
    torch.manual_seed(11)
    mine = getattr(init, name)(fb.empty(shape), *settings)
    theirs = getattr(torch.nn.init, name)(torch.empty(shape), *settings)
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    assert fb.rand(1).item() == torch.rand(1).item()  # the streams stand at the same place


def test_a_generator_of_its_own():
    torch = pytest.importorskip("torch")
    mine = init.kaiming_uniform_(fb.empty(3, 4), generator=fb.Generator().manual_seed(5))
    theirs = torch.nn.init.kaiming_uniform_(
        torch.empty(3, 4), generator=torch.Generator().manual_seed(5))
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_orthogonal():
    for shape in ((4, 4), (3, 5), (6, 2, 2)):
        w = init.orthogonal_(fb.empty(shape), gain=2.0).reshape(shape[0], -1)
        gram = w @ w.t() if w.shape[0] <= w.shape[1] else w.t() @ w
        np.testing.assert_allclose(gram.numpy(), 4 * np.eye(gram.shape[0]), atol=1e-5)


def test_plain_values():
    assert init.eye_(fb.empty(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert init.constant_(fb.empty(2), 3.0).tolist() == [3.0, 3.0]
    assert init.ones_(fb.empty(1)).item() == 1.0 and init.zeros_(fb.empty(1)).item() == 0.0


@pytest.mark.parametrize(("shape", "groups"), [((4, 2, 3), 2), ((3, 5, 2, 3), 1)])
def test_dirac_equals_torch(shape, groups):
    torch = pytest.importorskip("torch")
    mine = init.dirac_(fb.empty(shape), groups)
    theirs = torch.nn.init.dirac_(torch.empty(shape), groups)
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_dirac_passes_channels_through():
    conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    init.dirac_(conv.weight)
    x = fb.rand(1, 2, 4, 4)
    np.testing.assert_allclose(conv(x).detach().numpy(), x.numpy(), atol=1e-6)


def test_gain():
    assert init.calculate_gain("linear") == 1
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 0.5) == math.sqrt(2 / 1.25)
    assert init.calculate_gain("selu") == 0.75


def test_writes_to_parameters_in_place():
    p = nn.Parameter(fb.zeros(3, 3))
    assert init.uniform_(p, 1.0, 2.0) is p
    assert p.requires_grad and bool((p >= 1).all())


@pytest.mark.parametrize(("act", "error", "words"), [
    (lambda: init.kaiming_uniform_(fb.zeros(3)), ValueError, "fewer than 2 dimensions"),
    (lambda: init.kaiming_uniform_(fb.zeros(3, 2), mode="x"), ValueError, "Mode x not supported"),
    (lambda: init.calculate_gain("x"), ValueError, "Unsupported nonlinearity x"),
    (lambda: init.calculate_gain("leaky_relu", "x"), ValueError, "not a valid number"),
    (lambda: init.eye_(fb.zeros(3)), ValueError, "Only tensors with 2 dimensions"),
    (lambda: init.dirac_(fb.zeros(3)), ValueError, "3, 4, or 5 dimensions"),
    (lambda: init.dirac_(fb.zeros(3, 3, 3), 2), ValueError, "divisible by groups"),
    (lambda: init.orthogonal_(fb.zeros(3)), ValueError, "2 or more dimensions"),
    (lambda: init.sparse_(fb.zeros(3), 0.1), ValueError, "Only tensors with 2 dimensions"),
])
def test_refused(act, error, words):
    with pytest.raises(error, match=words):
        act()


def test_warnings():
    with pytest.warns(FutureWarning, match="deprecated in favor of `nn.init.xavier_uniform_`"):
        init.xavier_uniform(fb.zeros(2, 2))
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(fb.zeros(2), 9.0)
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_uniform_(fb.zeros(0, 2))
