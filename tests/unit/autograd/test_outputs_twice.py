"""Outputs that a derivative saves and that the program uses too: two edges to one output."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau
from flambeau.autograd import gradgradcheck

MATRIX = np.random.default_rng(0).standard_normal((3, 3))


@pytest.mark.parametrize(("decompose", "number"), [("qr", 0), ("qr", 1), ("svd", 0), ("svd", 1)])
def test_second_derivative_of_a_function_of_an_output(decompose, number):
    x = flambeau.tensor(MATRIX, requires_grad=True)
    assert gradgradcheck(lambda x: getattr(flambeau.linalg, decompose)(x)[number].square(), x)


def test_gradients_of_both_edges_are_added():
    x = flambeau.tensor(MATRIX, requires_grad=True)
    q = flambeau.linalg.qr(x)[0]
    (g,) = flambeau.autograd.grad((q * q * q).sum(), x, create_graph=True)
    (both,) = flambeau.autograd.grad((g * g).sum() + q.sum(), x, retain_graph=True)
    (first,) = flambeau.autograd.grad((g * g).sum(), x, retain_graph=True)
    (second,) = flambeau.autograd.grad(q.sum(), x)
    np.testing.assert_allclose(both.numpy(), (first + second).numpy(), rtol=1e-8, atol=1e-8)
