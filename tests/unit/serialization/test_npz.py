"""NumPy's archives of arrays."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.serialization import CheckpointError, npz


@pytest.mark.parametrize("compressed", [False, True])
def test_tensors_come_back(tmp_path, compressed):
    state = {"a": fb.arange(6.0).view(2, 3).t(), "b": fb.tensor([1 + 2j]), "n": fb.tensor(True)}
    npz.save_npz(state, tmp_path / "m.npz", compressed)
    found = npz.load_npz(tmp_path / "m.npz")
    assert all(fb.equal(found[name], t) for name, t in state.items())
    assert np.load(tmp_path / "m.npz")["a"].tolist() == state["a"].tolist()


def test_what_is_refused(tmp_path):
    with pytest.raises(TypeError, match="bfloat16"):
        npz.save_npz({"a": fb.ones(1, dtype=fb.bfloat16)}, tmp_path / "m.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "text.npz").write_bytes(b"hello")
    for name in ("objects.npz", "one.npy", "broken.npz", "text.npz"):
        with pytest.raises(CheckpointError):
            npz.load_npz(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        npz.load_npz(tmp_path / "nosuch.npz")
