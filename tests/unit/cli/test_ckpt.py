"""``flambeau ckpt``: what checkpoints hold, and what differs."""

import json

import pytest

import flambeau as fb
from flambeau import cli
from flambeau.serialization import npz


class Other:
    pass


@pytest.fixture
def state():
    w = fb.arange(6.0).view(2, 3)
    return {"model": {"w": w, "tied": w.t(), "p": fb.nn.Parameter(fb.ones(2))}, "steps": [1, "a"]}


def run(capsys, *arguments):
    status = cli.main(["ckpt", *map(str, arguments)])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("is_zip", [True, False])
def test_inspect(tmp_path, capsys, state, is_zip):
    fb.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=is_zip)
    status, out, _ = run(capsys, "inspect", tmp_path / "a.pt")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert "[2, 3]" in lines["model.w"] and "float32" in lines["model.w"]
    assert "shares memory with model.w" in lines["model.tied"]
    assert "requires grad" in lines["model.p"] and "'a'" in lines["steps.1"]
    assert "3 tensors, 14 elements, 32 B of memory" in out
    status, out, _ = run(capsys, "inspect", tmp_path / "a.pt", "--json")
    facts = json.loads(out)
    assert facts["bytes"] == 32 and facts["entries"][1]["strides"] == [1, 3]


def test_inspect_other_formats(tmp_path, capsys):
    npz.save_npz({"a": fb.ones(3)}, tmp_path / "a.npz")
    assert "float32" in run(capsys, "inspect", tmp_path / "a.npz")[1]
    safetensors = pytest.importorskip("safetensors")
    assert safetensors
    fb.serialization.safetensors.save_file({"a": fb.ones(3)}, tmp_path / "a.safetensors")
    assert "[3]" in run(capsys, "inspect", tmp_path / "a.safetensors")[1]


def test_inspect_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "a.pt").write_bytes(b"nothing")
    status, _, words = run(capsys, "inspect", tmp_path / "a.pt")
    assert status == 1 and "no checkpoint" in words
    assert "no file" in run(capsys, "inspect", tmp_path / "b.pt")[2]
    fb.save(Other(), tmp_path / "a.pt")
    status, _, words = run(capsys, "inspect", tmp_path / "a.pt")
    assert status == 1 and f"it refers to {__name__}.Other" in words


def test_diff(tmp_path, capsys, state):
    fb.save(state, tmp_path / "a.pt")
    assert run(capsys, "diff", tmp_path / "a.pt", tmp_path / "a.pt")[:2] == (0, "no difference\n")
    other = {"model": {
        "w": fb.tensor([[0.0, 1, 2], [3, 4, 7]]), "tied": fb.ones(2), "p": fb.ones(2).half()},
        "steps": [2, "a"], "new": None}
    fb.save(other, tmp_path / "b.pt")
    status, out, _ = run(capsys, "diff", tmp_path / "a.pt", tmp_path / "b.pt")
    assert status == 1
    for words in ("1 of 6 elements differ, by at most 2", "shape [3, 2] | [2]",
                  "dtype float32 | float16", "1 | 2", "only in the second"):
        assert words in out
    status, out, _ = run(capsys, "diff", tmp_path / "b.pt", tmp_path / "a.pt", "--json")
    assert {d["name"] for d in json.loads(out)} == {
        "model.w", "model.tied", "model.p", "steps.0", "new"}
    assert run(capsys, "diff", tmp_path / "a.pt", tmp_path / "nosuch")[0] == 1
