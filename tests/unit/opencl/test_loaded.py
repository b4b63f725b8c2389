"""Programs are dropped when there are many, and come back."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as fb


def test_a_dropped_program_is_loaded_again(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau_opencl import queue

    monkeypatch.setattr(queue, "PROGRAMS_AT_MOST", 2)
    device = backend._queues[0]
    x = fb.arange(5.0, device="opencl")
    ops = (fb.exp, fb.sin, fb.neg, fb.sqrt, fb.tanh, fb.abs)
    for _ in range(2):
        for op in ops:
            assert op(x).cpu().tolist() == pytest.approx(op(x.cpu()).tolist(), rel=1e-5)
    while len(device._loaded) > 2:
        device._loaded.popleft().drop()
    assert sum(1 for each in device._loaded if each.program is not None) <= 2
    for op in ops:
        assert op(x).cpu().tolist() == pytest.approx(op(x.cpu()).tolist(), rel=1e-5)
