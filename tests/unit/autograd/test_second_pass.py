"""What can be gone through twice, and what may be written to before the backward pass."""

import numpy as np
import pytest

import flambeau as fb


@pytest.mark.parametrize(
    "step", [lambda x: x + 1, lambda x: x * 2, lambda x: x.view(4).neg().expand(3, 4), fb.clone])
def test_steps_that_saved_no_tensor_can_be_gone_through_again(step):
    x = fb.ones(2, 2, requires_grad=True)
    y = step(x)
    (y * fb.full((), 3.0)).sum().backward()
    once = x.grad.clone()
    (y * fb.full((), 3.0)).sum().backward()
    assert x.grad.tolist() == (2 * once).tolist()


@pytest.mark.parametrize("step", [fb.exp, lambda x: x * x, lambda x: fb.cat([x, x]).exp()])
def test_steps_that_saved_a_tensor_cannot(step):
    x = fb.ones(2, 2, requires_grad=True)
    y = step(x)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_a_power_by_a_number_may_be_written_to():
    for _ in range(3):  # the call is remembered, then compiled
        x = fb.tensor([3.0, 4.0], requires_grad=True)
        y = (x * 1) ** 2
        y /= 2
        y.sum().backward()
        assert x.grad.tolist() == [3.0, 4.0]


def test_an_exponential_may_not():
    x = fb.tensor([3.0], requires_grad=True)
    y = x.exp()
    y /= 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_numbers_of_numpy_leave_operators_to_the_tensor():
    x = fb.tensor([1.0, 2.0], requires_grad=True)
    for number in (np.float64(2), np.float32(2), np.int64(2)):
        y = number * x - number
        assert isinstance(y, fb.Tensor)
        assert y.dtype is fb.float32
        assert y.tolist() == [0.0, 2.0]
        assert (number > x.detach()).tolist() == [True, False]
    with pytest.raises(TypeError, match="unsupported operand"):
        np.ones(2) * x
