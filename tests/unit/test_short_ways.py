"""Calls that were made before take the short way: told by the frames they enter, not by time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest

import flambeau as fb
from flambeau import dispatch
from flambeau.autograd import inplace
from flambeau.registry import OPS

LONG_WAY = {f.__code__ for f in (dispatch.call, dispatch.call_view, inplace.call_inplace)}


def frames(function: Callable[[], Any]) -> list[CodeType]:
    """The code of every Python frame that a call enters, but for the choice of a kernel by size."""
    entered: list[CodeType] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_name != "choose":
            entered.append(frame.f_code)

    gc.disable()  # callbacks at a collection, which others have registered, are frames too
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return entered


X, Y = fb.ones(6, 4), fb.full((6, 4), 2.0)
LEAF = fb.ones(6, 4, requires_grad=True)
HIDDEN = LEAF * 1
VIEW = HIDDEN.view(4, 6)
SHORT: dict[str, tuple[Callable[[int], Any], int]] = {  # frames at most
    "sum of tensors": (lambda i: X + Y, 2),
    "number": (lambda i: X * 2.5, 2),
    "number with a gradient": (lambda i: LEAF * 2.5, 2),
    "view with a gradient": (lambda i: VIEW + 1.0, 2),
    "reduction from the end": (lambda i: X.sum(-1), 3),
    "copy": (lambda i: X.clone(), 4),
    "in place": (lambda i: X.add_(Y), 3),
    "in place, broadcast": (lambda i: X.div_(Y[0]), 9),
    "in place, number": (lambda i: X.mul_(1.0), 4),
    "in place, scaled": (lambda i: X.add_(Y, alpha=0.0), 3),
    "index": (lambda i: X[i], 8),
    "slice": (lambda i: X[i : i + 2], 8),
    "index with a gradient": (lambda i: LEAF[i], 15),
    "reshape": (lambda i: X.reshape(4, 6), 5),
    "reshape with a gradient": (lambda i: HIDDEN.reshape(4, 6), 6),
    "transpose with a gradient": (lambda i: HIDDEN.transpose(0, 1), 3),
}


@pytest.mark.parametrize("name", SHORT)
def test_repeated_calls_take_few_frames(name: str) -> None:
    function, limit = SHORT[name]
    for i in (0, 1):
        function(i)
    entered = frames(lambda: function(2))
    assert not LONG_WAY.intersection(entered), [code.co_name for code in entered]
    assert len(entered) - 1 <= limit, [code.co_name for code in entered]


@pytest.mark.parametrize("join", [fb.stack, fb.cat])
def test_joining_enters_as_few_frames_for_many_tensors_as_for_two(join: Any) -> None:
    counts = []
    for n in (2, 64):
        tensors = [fb.full((3,), float(i)) for i in range(n)]
        join(tensors)
        entered = frames(lambda tensors=tensors: join(tensors))
        assert not LONG_WAY.intersection(entered)
        counts.append(len([code for code in entered if "genexpr" not in code.co_name]))
    assert counts[0] == counts[1]


def test_parts_are_found_again() -> None:
    for take in (lambda: X.unbind(0), lambda: X.split(2), lambda: X.chunk(3)):
        take()
        entered = frames(take)
        assert not LONG_WAY.intersection(entered)
        assert not any(code.co_name in ("select", "slice") for code in entered)


class Watcher(fb.Tensor):
    """Its mere existence must not slow down calls on other tensors, which the tests above tell."""


def test_calls_on_a_class_that_sees_them_go_the_long_way() -> None:
    watched = X.as_subclass(Watcher)
    for call in (
        lambda: watched + Y, lambda: Y * watched, lambda: watched.exp(), lambda: watched.sum(),
        lambda: watched.view(4, 6), lambda: watched[1], lambda: watched.add_(Y),
        lambda: fb.stack([X, watched]), lambda: fb.mm(watched, Y.t()),
        lambda: fb.nn.functional.linear(X, watched),
    ):
        for _ in range(2):
            assert type(call()) is Watcher


def test_a_kernel_that_declines_leaves_the_call_to_the_others() -> None:
    kind = X._kind
    for op, call in (("add", lambda: X + Y), ("mul", lambda: X * 2.0), ("amax", lambda: X.amax(0)),
                     ("exp", lambda: X.exp())):
        expected = call().tolist()
        fast = OPS[op].fast
        held = fast[kind]
        fast[kind] = (lambda *inputs, **settings: NotImplemented, held[1])
        try:
            assert call().tolist() == expected
        finally:
            fast[kind] = held


@pytest.mark.parametrize("op", [fb.logical_and, fb.fmin, fb.logical_xor])
def test_remembered_calls_do_not_let_numbers_pass(op):
    x = fb.ones(3)
    for _ in range(3):
        op(x, x)
        with pytest.raises(TypeError, match="must be Tensor, not int"):
            op(x, 2)
