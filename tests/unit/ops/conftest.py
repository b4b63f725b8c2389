"""Side by side with PyTorch: outputs and gradients of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau
from flambeau.registry import OPS


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Apply to every array within nested tuples, lists and dicts."""
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_each(v, change) for v in value)
    if isinstance(value, dict):
        return {k: _each(v, change) for k, v in value.items()}
    return value


class Side:
    """One library: makes its tensors of arrays, calls its function, collects gradients."""

    def __init__(self, library: Any, function: Callable[..., Any]) -> None:
        self.library, self.function = library, function
        self.leaves: list[Any] = []

    def tensor(self, array: np.ndarray) -> Any:
        made = self.library.from_numpy(array.copy())
        if array.dtype.kind in "fc" and array.flags.writeable:
            self.leaves.append(made.requires_grad_())
        return made

    def run(self, args: Any, kwargs: Any) -> list[Any]:
        self.inputs = _each((args, kwargs), self.tensor)
        out = self.function(*self.inputs[0], **self.inputs[1])
        return _tensors(out)

    def gradients(self, outs: list[Any]) -> list[np.ndarray | None]:
        rng = np.random.default_rng(7)
        roots = [o for o in outs if o.requires_grad]
        arrays = [np.asarray(rng.standard_normal(tuple(o.shape))) for o in roots]
        gs = [
            self.library.from_numpy(a).to(o.dtype) for a, o in zip(arrays, roots, strict=True)
        ]
        found = self.library.autograd.grad(roots, self.leaves, gs, allow_unused=True)
        return [None if g is None else g.detach().numpy() for g in found]


def _tensors(out: Any) -> list[Any]:
    if isinstance(out, (tuple, list)):
        return [t for item in out for t in _tensors(item)]
    return [] if out is None else [out]


@pytest.fixture(scope="session")
def parity() -> Callable[..., None]:
    """``parity("nn.functional.relu", array, option=1)``: same outputs and gradients as torch.

    Floating arrays require gradients unless they are read-only.  ``tolerance`` is relative to
    the largest value.
    """
    torch = pytest.importorskip("torch")

    def check(
        name: str, *args: Any, tolerance: float = 1e-5, grad: bool = True, **kwargs: Any
    ) -> None:
        theirs = torch
        for part in name.split("."):
            theirs = getattr(theirs, part)
        expected = Side(torch, theirs)
        got = Side(flambeau, OPS[name.rpartition(".")[2]].function)
        want, have = expected.run(args, kwargs), got.run(args, kwargs)
        assert len(want) == len(have)
        for w, h in zip(want, have, strict=True):
            assert str(w.dtype).rpartition(".")[2] == h.dtype.name
            assert w.requires_grad == h.requires_grad
            _close(h.detach().numpy(), w.detach().numpy(), tolerance, "output")
        if grad and any(o.requires_grad for o in want):
            pairs = zip(expected.gradients(want), got.gradients(have), strict=True)
            for i, (w, h) in enumerate(pairs):
                if w is None or h is None:  # no gradient is a gradient of 0
                    given = w if h is None else h
                    assert given is None or not given.any(), f"gradient {i}"
                else:
                    _close(h, w, 3 * tolerance, f"gradient {i}")

    return check


def _close(have: np.ndarray, want: np.ndarray, tolerance: float, what: str) -> None:
    assert have.shape == want.shape, what
    scale = float(np.nanmax(np.abs(want[np.isfinite(want)]), initial=1.0))
    np.testing.assert_allclose(have, want, tolerance, tolerance * scale, err_msg=what)


@pytest.fixture
def rand() -> Callable[..., np.ndarray]:
    """Normal float32 arrays from a fixed seed."""
    rng = np.random.default_rng(0)

    def make(*shape: int, dtype: Any = np.float32) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    return make
