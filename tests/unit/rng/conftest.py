"""What the tests of random numbers share: names to calls, and PyTorch as the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flambeau import rng
from flambeau.rng import host


@pytest.fixture(autouse=True, params=["numpy", "host"])
def drawn_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs with the samplers of the host's backend, and without."""
    by: str = request.param
    if by == "numpy":
        monkeypatch.setattr(host, "look", lambda: False)
        monkeypatch.setattr(host, "_found", {})
    elif not host.look():
        pytest.skip("the host has no samplers: there is no C compiler")
    return by


def bits(values: np.ndarray[Any, Any]) -> bytes:
    """The bytes of an array in logical order."""
    return np.ascontiguousarray(values).tobytes()


class Twins:
    """A generator of ours and one of PyTorch's, seeded alike and compared after every call."""

    def __init__(self, torch: Any, seed: int = 0) -> None:
        self.torch = torch
        self.ours = rng.Generator().manual_seed(seed)
        self.theirs = torch.Generator().manual_seed(seed)

    def agree(self, values: np.ndarray[Any, Any], tensor: Any) -> None:
        """Assert equal bits of the values and equal states of the two generators."""
        assert values.shape == tuple(tensor.shape)
        raw = tensor.contiguous().flatten()
        if raw.dtype is self.torch.bfloat16:  # which NumPy does not have
            raw = raw.view(self.torch.int16)
        expected = np.frombuffer(bits(raw.numpy()), np.uint8).reshape(-1, values.itemsize)
        found = np.frombuffer(bits(values), np.uint8).reshape(-1, values.itemsize)
        differing = np.flatnonzero((expected != found).any(axis=1))
        assert differing.size == 0, f"{differing.size} of {values.size} differ: {differing[:5]}"
        assert bits(self.ours.state_bytes()) == bits(self.theirs.get_state().numpy())

    def empty(self, shape: Any, dtype: str) -> Any:
        """An uninitialised tensor of PyTorch."""
        return self.torch.empty(shape, dtype=getattr(self.torch, dtype))

    def array(self, tensor: Any) -> np.ndarray[Any, Any]:
        """The same numbers as an array."""
        if tensor.dtype is self.torch.bfloat16:
            ml_dtypes = pytest.importorskip("ml_dtypes")
            return tensor.contiguous().view(self.torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()


@pytest.fixture
def twins() -> Twins:
    """Needs PyTorch, the oracle."""
    return Twins(pytest.importorskip("torch"))


@pytest.fixture
def generator() -> rng.Generator:
    """Seeded with 0."""
    return rng.Generator().manual_seed(0)
