"""Tensor subclasses are kept through ops, and may see every call."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run(program: str) -> None:
    """In a process of its own: defining a subclass switches the check on for good."""
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_subclasses_are_kept() -> None:
    run("""
        import flambeau as fb
        class Mine(fb.Tensor):
            pass
        x = fb.ones(2, 3).as_subclass(Mine)
        assert type(x) is Mine and type(x + 1) is Mine and type(1 - x) is Mine
        assert type(x.t()) is Mine and type(x.sum(0)) is Mine
        assert all(type(p) is Mine for p in x.split(1))
        assert type(fb.ones(2) + 1) is fb.Tensor
        y = x.requires_grad_()
        (y * y).sum().backward()
        assert y.grad.tolist() == [[2, 2, 2], [2, 2, 2]]
    """)


def test_an_override_sees_calls_and_may_answer() -> None:
    run("""
        import flambeau as fb
        seen = []
        class Logged(fb.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                seen.append((func.__name__, sorted(kwargs or {})))
                if func is fb.exp:
                    return "exp"
                return super().__torch_function__(func, types, args, kwargs)
        x = fb.ones(2).as_subclass(Logged)
        assert fb.exp(x) == "exp"
        assert type(fb.add(x, 1, alpha=2)) is Logged
        assert seen[0] == ("exp", []) and seen[1] == ("add", ["alpha"])
    """)


def test_parameters_are_plain_tensors() -> None:
    run("""
        import flambeau as fb
        from flambeau import nn
        from flambeau.modes import ACTIVE
        p = nn.Parameter(fb.ones(2))
        assert type(p * 2) is fb.Tensor and not ACTIVE
    """)
