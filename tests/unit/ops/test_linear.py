"""Affine maps, against PyTorch."""

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck
from flambeau.registry import OPS

linear = OPS["linear"].function


@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 3, 4), (0, 4), (2, 1, 3, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(parity, rand, shape, bias):
    parity("nn.functional.linear", rand(*shape), rand(5, 4), rand(5) if bias else None)


def test_linear_of_float64_half_and_complex(parity, rand):
    parity("nn.functional.linear", rand(3, 4, dtype=np.float64), rand(5, 4, dtype=np.float64))
    parity("nn.functional.linear", rand(3, 4, dtype=np.float16), rand(5, 4, dtype=np.float16),
           tolerance=2e-3)
    x, w = (rand(n, 4) + 1j * rand(n, 4) for n in (3, 5))
    parity("nn.functional.linear", x.astype(np.complex64), w.astype(np.complex64))


def test_double_backward(rand):
    x, w, b = (flambeau.from_numpy(rand(*s, dtype=np.float64)).requires_grad_()
               for s in ((3, 4), (5, 4), (5,)))
    assert gradgradcheck(lambda *t: linear(*t) ** 2, (x, w, b))


def test_linear_refuses():
    x = flambeau.ones(3, 4)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        linear(x, flambeau.ones(5, 3))
    with pytest.raises(RuntimeError, match="one value per row"):
        linear(x, flambeau.ones(5, 4), flambeau.ones(4))
    with pytest.raises(RuntimeError, match="same dtype"):
        linear(x, flambeau.ones(5, 4, dtype=flambeau.float64))


@pytest.mark.parametrize("batch", [(3,), (2, 3), ()])
def test_bilinear(parity, rand, batch):
    parity("nn.functional.bilinear", rand(*batch, 4), rand(*batch, 5), rand(2, 4, 5), rand(2))
