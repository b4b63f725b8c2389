"""Gradients of gradients through views of views."""

import flambeau
from flambeau.autograd import grad


def test_the_gradient_of_a_part_of_a_part():
    x = flambeau.arange(16, dtype=flambeau.float64).reshape(4, 4).requires_grad_()
    a, b = x.narrow(0, 0, 2).narrow(1, 0, 2), x.narrow(0, 2, 2).narrow(1, 1, 2)
    v = flambeau.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=flambeau.float64)
    (g,) = grad(a * b, x, v, create_graph=True)
    u = flambeau.arange(16, dtype=flambeau.float64).reshape(4, 4)
    (h,) = grad(g, x, u)
    expected = flambeau.zeros(4, 4, dtype=flambeau.float64)
    expected[0:2, 0:2] = v * u[2:4, 1:3]
    expected[2:4, 1:3] = v * u[0:2, 0:2]
    assert h.tolist() == expected.tolist()
