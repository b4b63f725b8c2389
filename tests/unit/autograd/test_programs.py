"""The programs of ``programs.py`` give what PyTorch gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.unit.autograd.programs import PROGRAMS

import flambeau

torch = pytest.importorskip("torch")


def plain(value: Any) -> Any:
    return np.asarray(value.detach().tolist()) if hasattr(value, "detach") else value


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_as_torch(name: str) -> None:
    ours, theirs = PROGRAMS[name](flambeau), PROGRAMS[name](torch)
    assert len(ours) == len(theirs) > 0
    for i, (got, want) in enumerate(zip(ours, theirs, strict=True)):
        if hasattr(want, "dtype"):
            assert str(got.dtype).split(".")[1] == str(want.dtype).split(".")[1], i
            assert tuple(got.shape) == tuple(want.shape), i
            np.testing.assert_allclose(plain(got), plain(want), rtol=1e-6, err_msg=str(i))
        else:
            assert got == want, i
