"""What gradcheck and gradgradcheck accept and refuse."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as fb
from flambeau.autograd import Function, gradcheck, gradgradcheck

MODES = pytest.mark.parametrize("fast_mode", [False, True])


def leaf(dtype: Any = fb.float64) -> Any:
    return fb.tensor([0.5, -1.25, 2.0], dtype=dtype, requires_grad=True)


class SquareOfConstantSlope(Function):
    """The gradient is right, and does not know that it depends on the input."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.slope = (2 * x).detach()
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.slope


class OneAndAHalf(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1.5

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


@MODES
@pytest.mark.parametrize("dtype", [fb.float64, fb.complex128])
def test_right_ones_pass(fast_mode, dtype):
    def function(x: Any, y: Any) -> Any:
        return x * x.conj() * y, (x * y.exp()).sum()

    inputs = leaf(dtype), leaf(dtype)
    assert gradcheck(function, inputs, fast_mode=fast_mode)
    assert gradgradcheck(function, inputs, fast_mode=fast_mode)


@MODES
def test_a_wrong_factor_is_found(fast_mode):
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(OneAndAHalf.apply, leaf(), fast_mode=fast_mode)
    assert not gradcheck(OneAndAHalf.apply, leaf(), fast_mode=fast_mode, raise_exception=False)


@MODES
def test_a_gradient_cut_off_is_found(fast_mode):
    assert gradcheck(SquareOfConstantSlope.apply, leaf(), fast_mode=fast_mode)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradgradcheck(SquareOfConstantSlope.apply, leaf(), fast_mode=fast_mode)


@MODES
def test_a_gradient_without_any_graph_is_found(fast_mode):
    class Cut(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return (2 * ctx.saved_tensors[0] * g).detach()

    assert gradcheck(Cut.apply, leaf(), fast_mode=fast_mode)
    assert not gradgradcheck(Cut.apply, leaf(), fast_mode=fast_mode, raise_exception=False)
