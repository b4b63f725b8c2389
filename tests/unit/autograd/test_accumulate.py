"""What ``.grad`` may share memory with: nothing that anybody else can see."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.autograd import Function
from flambeau.autograd.engine import _Probe


def test_a_fresh_gradient_is_handed_over_without_a_copy() -> None:
    seen: list[int] = []

    class Watch(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            result = g * 2
            seen.append(id(result._native))
            return result

    x = fb.ones(3, requires_grad=True)
    Watch.apply(x).sum().backward()
    assert x.grad is not None and id(x.grad._native) == seen[0]
    assert _Probe.references is not None


def test_a_gradient_that_somebody_holds_is_copied() -> None:
    held: list[Any] = []

    class Keep(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            held.append(g * 2)
            return held[-1]

    x = fb.ones(3, requires_grad=True)
    Keep.apply(x).sum().backward()
    held[0].mul_(100)
    assert x.grad is not None and x.grad.tolist() == [2, 2, 2]


def test_the_callers_gradient_is_copied() -> None:
    x = fb.ones(3, requires_grad=True)
    g = fb.ones(3)
    x.backward(g)
    (x + 0).backward(g)
    y = x.view(3)
    y.backward(g)
    g.mul_(100)
    assert x.grad is not None and x.grad.tolist() == [3, 3, 3]


def test_two_leaves_do_not_share_one_gradient() -> None:
    x, y = fb.ones(3, requires_grad=True), fb.ones(3, requires_grad=True)
    (x + y).sum().backward()
    assert x.grad is not None and y.grad is not None
    x.grad.mul_(100)
    assert y.grad.tolist() == [1, 1, 1]
