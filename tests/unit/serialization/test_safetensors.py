"""Safetensors: one file, several, on demand; what is refused."""

import json

import pytest

import flambeau as fb
from flambeau.serialization import CheckpointError

pytest.importorskip("safetensors")
from flambeau.serialization import safetensors

STATE = {
    "w": fb.arange(12.0).view(3, 4), "half": fb.ones(3, dtype=fb.bfloat16), "n": fb.tensor(3),
    "t": fb.arange(6).view(2, 3).t(), "flags": fb.tensor([True, False]),
}


def check(found):
    assert sorted(found) == sorted(STATE)
    for name, t in STATE.items():
        assert found[name].dtype is t.dtype and fb.equal(found[name], t)


def test_one_file(tmp_path):
    safetensors.save_file(STATE, tmp_path / "m.safetensors", {"format": "fb"})
    check(safetensors.load_file(tmp_path / "m.safetensors"))
    check(safetensors.load(safetensors.save(STATE)))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_tensors_on_demand(tmp_path):
    safetensors.save_file(STATE, tmp_path / "m.safetensors", {"format": "fb"})
    with safetensors.safe_open(tmp_path / "m.safetensors") as file:
        assert file.keys() == sorted(STATE) and file.metadata() == {"format": "fb"}
        part = file.get_slice("w")
        assert (part.get_shape(), part.get_dtype()) == ([3, 4], "F32")
        assert part[1:, 2].tolist() == [6, 10]
        with pytest.raises(KeyError, match="nosuch"):
            file.get_tensor("nosuch")


def test_several_files(tmp_path):
    index = safetensors.save_sharded(STATE, tmp_path, max_shard_size=50)
    where = json.loads(index.read_text())["weight_map"]
    assert len(set(where.values())) > 2 and set(where) == set(STATE)
    check(safetensors.load_file(index))
    check(safetensors.load_file(tmp_path))
    with safetensors.safe_open(tmp_path) as file:
        assert file.get_tensor("n") == 3
    assert safetensors._bytes("1.5MB") == 1_500_000
    with pytest.raises(ValueError, match="5GB"):
        safetensors.save_sharded(STATE, tmp_path, "much")


def test_what_is_refused(tmp_path):
    w = fb.ones(3)
    with pytest.raises(RuntimeError, match=r"'a' and 'b' share memory"):
        safetensors.save({"a": w, "b": w[1:]})
    with pytest.raises(TypeError, match="complex128"):
        safetensors.save({"a": fb.ones(2, dtype=fb.complex128)})
    with pytest.raises(TypeError, match="no tensor"):
        safetensors.save({"a": 3})
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors.save(STATE)[:-1])
    with pytest.raises(CheckpointError):
        safetensors.load_file(path)
    with pytest.raises(CheckpointError, match=r"safetensors\.load_file"):
        fb.load(path)
    with pytest.raises(FileNotFoundError):
        safetensors.load_file(tmp_path / "nosuch")
    index = tmp_path / safetensors.INDEX
    for text in ("[]", "{", '{"weight_map": {"a": "../m.safetensors"}}'):
        index.write_text(text)
        with pytest.raises(CheckpointError):
            safetensors.load_file(index)
