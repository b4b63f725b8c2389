"""Hooks of leaves, and sums of contributions to them."""

from __future__ import annotations

import flambeau as fb


def test_hooks_of_a_leaf_see_the_sum_of_all_contributions_once() -> None:
    seen: list[object] = []
    x = fb.ones(2, requires_grad=True)
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_post_accumulate_grad_hook(lambda p: seen.append(("after", p.grad.tolist())))
    (x * 2 + x * 3 + x.sum()).sum().backward()
    assert seen == [[7, 7], ("after", [7, 7])]
    seen.clear()
    (g,) = fb.autograd.grad((x * 2 + x * 3).sum(), [x])
    assert seen == [[5, 5]]
    assert g.tolist() == [5, 5]
    x.register_hook(lambda g: g * 10)
    x.grad = None
    (x * 2 + x * 3 + x.detach()).sum().backward()
    assert x.grad.tolist() == [50, 50]


def test_many_contributions_to_a_leaf_leave_what_others_hold_alone() -> None:
    x = fb.ones(3, requires_grad=True)
    parts = [x * k for k in range(1, 6)]
    held = fb.full((3,), 2.0)
    total = parts[0] * held
    for part in parts[1:]:
        total = total + part * held
    total.backward(held)
    assert x.grad.tolist() == [60.0] * 3
    assert held.tolist() == [2.0] * 3
    y = fb.ones(3, requires_grad=True)
    (a,) = fb.autograd.grad((y * y * y).sum(), y, create_graph=True)
    (b,) = fb.autograd.grad(a.sum(), y)
    assert b.tolist() == [6.0] * 3


def test_many_contributions_to_a_number() -> None:
    x = fb.tensor(2.0, requires_grad=True)
    (x * 2 + x * 3 + x * 4 + x * 5).backward()
    assert x.grad is not None
    assert x.grad.item() == 14


def test_hooks_run_once_when_inputs_are_named():
    x, calls = fb.ones(2, requires_grad=True), []
    x.register_hook(lambda g: calls.append("gradient") or g * 2)
    x.register_post_accumulate_grad_hook(lambda t: calls.append("accumulated"))
    (x * 3).sum().backward(inputs=[x])
    assert calls == ["gradient", "accumulated"] and x.grad.tolist() == [6.0, 6.0]
