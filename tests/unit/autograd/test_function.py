"""Operations with a backward of the user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import Function, gradcheck, gradgradcheck
from flambeau.autograd.function import once_differentiable


class Square(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * x * g


class SavesOutput(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ctx.saved_tensors[0] * g


class TwoOutputs(Function):
    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, scale: float) -> Any:
        ctx.save_for_backward(x, y)
        ctx.scale = scale
        return x * y, (x + y) * scale

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * y + h * ctx.scale, g * x + h * ctx.scale, None


class Setup(Function):
    @staticmethod
    def forward(x: Any) -> Any:
        return x.sin()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ctx.saved_tensors[0].cos() * g


def leaf(seed: int = 0) -> fb.Tensor:
    values = np.random.default_rng(seed).standard_normal(3)
    return fb.from_numpy(values).requires_grad_()


@pytest.mark.parametrize("function", [Square.apply, SavesOutput.apply, Setup.apply])
def test_gradients(function: Any) -> None:
    assert gradcheck(function, leaf())
    assert gradgradcheck(function, leaf())


def test_several_outputs() -> None:
    def function(x: Any, y: Any) -> Any:
        return TwoOutputs.apply(x, y, 3.0)

    assert gradcheck(function, (leaf(), leaf(1)))
    assert gradgradcheck(function, (leaf(), leaf(1)))
    first, _ = function(x := leaf(), leaf(1))
    first.sum().backward()  # the other output's gradient is zero
    assert x.grad is not None


def test_once_differentiable() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    x = leaf()
    (g,) = fb.autograd.grad(Once.apply(x).sum(), x)
    np.testing.assert_allclose(g.numpy(), 2 * x.detach().numpy())
    (g,) = fb.autograd.grad((Once.apply(x) * x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_needs_input_grad_and_non_differentiable_outputs() -> None:
    seen: list[Any] = []

    class Parts(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            seen.append(ctx.needs_input_grad)
            positive = x > 0
            ctx.mark_non_differentiable(positive)
            return x * y, positive

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            return g, None

    out, positive = Parts.apply(leaf(), leaf(1).detach())
    assert seen == [(True, False)]
    assert out.requires_grad and not positive.requires_grad
    out.sum().backward()


def test_input_returned_as_it_is() -> None:
    class Same(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return -g

    x = leaf()
    y = Same.apply(x)
    assert y is not x and x.is_leaf
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [-1, -1, -1]


def test_gradcheck_finds_a_wrong_gradient() -> None:
    class WrongFactor(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(WrongFactor.apply, leaf())
    assert not gradcheck(WrongFactor.apply, leaf(), raise_exception=False)
