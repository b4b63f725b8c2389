"""What autograd refuses, and the words that help."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau.autograd import Function


def leaf() -> fb.Tensor:
    return fb.tensor([1.0, 2.0, 3.0], requires_grad=True)


def test_second_backward_needs_retain_graph() -> None:
    x = leaf()
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time.*retain_graph=True"):
        y.backward()
    (x * x).sum().backward()  # the next graph works


def test_inplace_on_a_leaf() -> None:
    x = leaf()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad.*in-place"):
        x.add_(1)
    assert x.tolist() == [1, 2, 3]
    with fb.no_grad():
        x.add_(1)
    assert x.tolist() == [2, 3, 4]


def test_inplace_on_a_view_of_a_leaf() -> None:
    x = leaf()
    with pytest.raises(RuntimeError, match="view of a leaf Variable"):
        x.narrow(0, 0, 2).mul_(2)


def test_saved_tensor_was_modified() -> None:
    x = leaf()
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace.*version 1.*version 0"):
        z.sum().backward()


def test_saved_output_was_modified() -> None:
    x = leaf()
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_modified_through_a_view_is_noticed() -> None:
    x = leaf()
    y = x * 2
    z = y * y
    y.narrow(0, 0, 1).zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_backward_of_a_tensor_without_history() -> None:
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        fb.ones(()).backward()


def test_backward_of_a_vector_needs_a_gradient() -> None:
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        (leaf() * 2).backward()


def test_gradient_of_another_shape() -> None:
    with pytest.raises(RuntimeError, match=r"Mismatch in shape.*\[2\].*\[3\]"):
        (leaf() * 2).backward(fb.ones(2))


def test_unused_input() -> None:
    x, y = leaf(), leaf()
    with pytest.raises(RuntimeError, match="allow_unused=True"):
        fb.autograd.grad((x * 2).sum(), [x, y])


def test_input_without_requires_grad() -> None:
    with pytest.raises(RuntimeError, match="does not require grad"):
        fb.autograd.grad(leaf().sum(), fb.ones(3))


def test_integers_cannot_require_grad() -> None:
    with pytest.raises(RuntimeError, match="floating point and complex"):
        fb.tensor([1, 2]).requires_grad_()


def test_requires_grad_of_a_non_leaf() -> None:
    with pytest.raises(RuntimeError, match="leaf variables"):
        (leaf() * 2).requires_grad_(False)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (fb.ones(2), RuntimeError, "different size"),
        (fb.ones(3, dtype=fb.float64), RuntimeError, "dtype"),
        (1.0, TypeError, "Tensor or None"),
    ],
)
def test_assigned_gradient_must_fit(value: object, error: type[Exception], words: str) -> None:
    x = leaf()
    with pytest.raises(error, match=words):
        x.grad = value  # type: ignore[assignment]
    x.grad = fb.ones(3)


def test_grad_of_a_non_leaf_warns() -> None:
    y = leaf() * 2
    with pytest.warns(UserWarning, match="retain_grad"):
        assert y.grad is None


def test_numpy_of_a_tensor_that_requires_grad() -> None:
    with pytest.raises(RuntimeError, match="detach"):
        leaf().numpy()


def test_out_does_not_differentiate() -> None:
    with pytest.raises(RuntimeError, match="out=.*automatic differentiation"):
        fb.add(leaf(), 1, out=fb.empty(3))


def test_expanded_memory_is_not_written() -> None:
    x = fb.zeros(3, 1).expand(3, 4)
    with pytest.raises(RuntimeError, match=r"more than one element.*clone\(\)"):
        x.add_(1)


class Wrong(Function):
    """Returns too many gradients."""

    @staticmethod
    def forward(ctx: object, x: fb.Tensor) -> fb.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: object, g: fb.Tensor) -> object:
        return g, g


def test_function_with_a_wrong_number_of_gradients() -> None:
    with pytest.raises(RuntimeError, match=r"incorrect number of gradients \(expected 1, got 2\)"):
        Wrong.apply(leaf()).sum().backward()


def test_deep_graphs_need_no_recursion() -> None:
    x = leaf()
    y = x
    for _ in range(20_000):
        y = y + 1
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 1, 1]


def test_graph_is_freed_without_the_garbage_collector() -> None:
    import gc
    import weakref

    gc.disable()
    try:
        x = leaf()
        y = (x.exp() * x).tanh().sum()
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_an_operand_that_is_written_to_cannot_be_differentiated():
    z = fb.ones(2, requires_grad=True) * 2
    z.mul_(z)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    z = fb.ones(2, requires_grad=True) * 2
    z.add_(z)  # nothing of it is needed
    z.sum().backward()
