"""PyTorch's switch of threads: steps run in the thread that asks, whatever it says."""

from __future__ import annotations

import threading

import pytest

import flambeau as fb
from flambeau.autograd.multithreading import is_multithreading_enabled


@pytest.mark.parametrize("mode", [True, False])
def test_steps_run_in_the_thread_that_asks(mode):
    seen = []
    x = fb.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: seen.append(threading.get_ident()))
    with fb.autograd.set_multithreading_enabled(mode):
        assert is_multithreading_enabled() is mode
        y.sum().backward()
    assert is_multithreading_enabled() and seen == [threading.get_ident()]
