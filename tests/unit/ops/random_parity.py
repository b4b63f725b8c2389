"""The same expression on both libraries, from the same seed: equal to the last bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import flambeau as fb


def _host(t: Any, library: Any) -> np.ndarray:
    t = t.detach()
    return (t.float() if t.dtype is library.bfloat16 else t).numpy()


def _outcome(library: Any, expression: str, function: Any) -> tuple[Any, ...]:
    library.manual_seed(5)
    scope = {"T": library, "F": function, "math": math}
    try:
        t = eval(expression, scope)
    except Exception as error:
        return ("refused", error)
    gradient = None
    if t.requires_grad and "x" in scope:
        (gradient,) = library.autograd.grad((t * t).sum(), scope["x"])
        gradient = _host(gradient, library)
    return (
        _host(t, library), str(t.dtype).rpartition(".")[2], tuple(t.stride()),
        gradient, library.get_rng_state().numpy(),
    )


def check(expression: str, values: bool = True) -> None:
    """``T`` is the library, ``F`` its ``nn.functional``; a leaf ``(x := ...)`` is differentiated.

    Args:
        values: whether the values are equal too, or only close.
    """
    torch = pytest.importorskip("torch")
    want = _outcome(torch, expression, torch.nn.functional)
    have = _outcome(fb, expression, fb.nn.functional)
    if isinstance(want[0], str):
        assert isinstance(have[0], str), f"torch refuses: {want[1]}"
        mro = type(have[1]).__mro__
        assert type(want[1]) in mro, f"{have[1]!r}, torch: {want[1]!r}"
        return
    if isinstance(have[0], str):
        raise have[1]
    assert have[1:3] == want[1:3], "dtype or strides"
    for h, w in ((have[0], want[0]), (have[3], want[3])):
        assert (h is None) == (w is None), "gradient"
        if h is None:
            continue
        assert h.shape == w.shape
        if values:
            assert np.array_equal(h, w, equal_nan=h.dtype.kind in "fc")
        else:
            np.testing.assert_allclose(h, w, rtol=2e-6, atol=1e-6)
    assert np.array_equal(have[4], want[4]), "the generator's state afterwards"
