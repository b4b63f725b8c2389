"""Weights and models from a server: checked, kept, resumed; foreign code only with consent."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import flambeau as fb
from flambeau import hub
from flambeau.hub import repository

HUBCONF = """
dependencies = ["json"]
from helper import scale
def tiny(factor=1, pretrained=False):
    '''A number, scaled.'''
    return scale(factor)
def _hidden():
    pass
"""
FILES = {"hubconf.py": HUBCONF, "helper.py": "def scale(f):\n    return 10 * f\n"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("flambeau.hub.cache._chosen", None)
    monkeypatch.setattr(fb.download.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("FLAMBEAU_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FLAMBEAU_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("sys.dont_write_bytecode", True)  # files change within a second
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    return tmp_path / "home" / "hub"


@pytest.fixture
def weights() -> tuple[str, bytes]:
    held = io.BytesIO()
    fb.save({"w": fb.arange(3.0)}, held)
    content = held.getvalue()
    return f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth", content


@pytest.fixture
def github(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(repository, "CODE", server.url.rstrip("/"))
    monkeypatch.setattr(repository, "API", server.url.rstrip("/"))
    page = "?per_page=100&page=1"
    server.files["models"] = json.dumps({"default_branch": "trunk"}).encode()
    server.files[f"branches{page}"] = json.dumps(
        [{"name": "trunk", "commit": {"sha": "a" * 40}}]
    ).encode()
    server.files[f"tags{page}"] = json.dumps([{"name": "v1", "commit": {"sha": "b" * 40}}]).encode()
    for ref in ("trunk", "v1", "b" * 7):
        server.files[ref] = zipped({f"some-models-abc/{k}": v for k, v in FILES.items()})
    return server


def zipped(files: dict[str, str]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


# ---- the folder ----------------------------------------------------------------------------------
def test_the_folder_follows_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert hub.get_dir() == str(home)
    monkeypatch.delenv("FLAMBEAU_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hub.get_dir() == str(tmp_path / "flambeau" / "hub")
    hub.set_dir(tmp_path / "mine")
    assert hub.get_dir() == str(tmp_path / "mine")


# ---- weights -------------------------------------------------------------------------------------
def test_weights_are_fetched_once(server: Any, home: Path, weights: tuple[str, bytes]) -> None:
    name, content = weights
    server.files[name] = content
    for _ in range(2):
        loaded = hub.load_state_dict_from_url(server.url + name, check_hash=True, progress=False)
        assert loaded["w"].tolist() == [0.0, 1.0, 2.0]
    assert len(server.requests) == 1
    assert os.listdir(home / "checkpoints") == [name]


def test_weights_are_checked(server: Any, home: Path, weights: tuple[str, bytes]) -> None:
    name, _ = weights
    server.files[name] = b"something else"
    with pytest.raises(RuntimeError, match="corrupt: expected sha256 sha256:"):
        hub.load_state_dict_from_url(server.url + name, check_hash=True)
    assert os.listdir(home / "checkpoints") == []


def test_weights_go_where_they_are_wanted(
    server: Any, tmp_path: Path, weights: tuple[str, bytes]
) -> None:
    server.files["a.pth"] = weights[1]
    loaded = hub.load_state_dict_from_url(
        server.url + "a.pth", str(tmp_path), map_location="meta", file_name="b.pth"
    )
    assert loaded["w"].device.type == "meta"
    assert (tmp_path / "b.pth").read_bytes() == weights[1]


def test_an_archive_of_weights_is_unpacked(server: Any, weights: tuple[str, bytes]) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("inner.pth", weights[1])
    server.files["w.zip"] = held.getvalue()
    assert hub.load_state_dict_from_url(server.url + "w.zip")["w"].shape == (3,)
    server.files["two.zip"] = zipped({"a": "", "b": ""})
    with pytest.raises(RuntimeError, match="Only one file"):
        hub.load_state_dict_from_url(server.url + "two.zip")


def test_a_broken_transfer_is_resumed(server: Any, tmp_path: Path) -> None:
    content = os.urandom(10_000)
    server.files["x.bin"] = content
    server.cuts = [4000]
    digits = hashlib.sha256(content).hexdigest()[:12]
    hub.download_url_to_file(server.url + "x.bin", tmp_path / "x.bin", digits, progress=False)
    assert (tmp_path / "x.bin").read_bytes() == content
    assert [asked for _, asked in server.requests] == [None, "bytes=4000-"]


def test_a_file_is_fetched_again_if_nothing_tells_that_it_is_the_same(
    server: Any, tmp_path: Path
) -> None:
    for content in (b"first", b"second"):
        server.files["x.bin"] = content
        hub.download_url_to_file(server.url + "x.bin", tmp_path / "x.bin")
        assert (tmp_path / "x.bin").read_bytes() == content


def test_offline_asks_no_server(
    server: Any, monkeypatch: pytest.MonkeyPatch, weights: tuple[str, bytes], github: Any
) -> None:
    server.files["a.pth"] = weights[1]
    hub.load_state_dict_from_url(server.url + "a.pth")
    hub.load("some/models", "tiny", trust_repo=True)
    server.requests.clear()
    monkeypatch.setenv("FLAMBEAU_HUB_OFFLINE", "1")
    assert hub.load_state_dict_from_url(server.url + "a.pth")["w"].numel() == 3
    with pytest.raises(RuntimeError, match="FLAMBEAU_HUB_OFFLINE"):
        hub.load_state_dict_from_url(server.url + "other.pth")
    assert hub.load("some/models:trunk", "tiny", force_reload=True) == 10
    with pytest.raises(RuntimeError, match="FLAMBEAU_HUB_OFFLINE"):
        hub.load("some/models:v1", "tiny")
    assert server.requests == []


# ---- folders of this machine ---------------------------------------------------------------------
@pytest.fixture
def local(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_folder(local: Path) -> None:
    assert hub.load(local, "tiny", source="local") == 10
    assert hub.load(str(local), "tiny", 3, source="local", pretrained=True) == 30
    assert "scale" in hub.list(str(local), source="local")
    assert "_hidden" not in hub.list(str(local), source="local")
    assert hub.help(str(local), "tiny", source="local") == "A number, scaled."


def test_what_a_folder_lacks(local: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Cannot find callable big in hubconf"):
        hub.load(local, "big", source="local")
    (local / "hubconf.py").write_text("dependencies = ['no_such_package']\ndef tiny(): pass\n")
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_package"):
        hub.load(local, "tiny", source="local")
    with pytest.raises(RuntimeError, match=r"has no hubconf\.py"):
        hub.load(tmp_path / "none", "tiny", source="local")
    with pytest.raises(ValueError, match="Unknown source"):
        hub.load(local, "tiny", source="elsewhere")


# ---- GitHub --------------------------------------------------------------------------------------
def test_foreign_code_needs_consent(github: Any, home: Path) -> None:
    for trust in ("check", False):
        with pytest.raises(RuntimeError, match="trust_repo=True"):
            hub.load("some/models", "tiny", trust_repo=trust)
    assert github.requests == []
    with pytest.raises(ValueError, match="trust_repo must be"):
        hub.load("some/models", "tiny", trust_repo="yes")
    assert hub.load("some/models", "tiny", 2, trust_repo=True) == 20
    assert hub.load("some/models:v1", "tiny", 2) == 20  # trust is remembered
    assert (home / "trusted_list").read_text() == "some_models\n"
    with pytest.raises(RuntimeError, match="trust_repo=True"):
        hub.load("some/models", "tiny", trust_repo=False)
    with pytest.raises(RuntimeError, match="other/models is not trusted"):
        hub.load("other/models", "tiny")


@pytest.mark.parametrize(
    ("answer", "runs"), [("y", True), ("Yes", True), ("n", False), ("", False)]
)
def test_a_person_is_asked(
    github: Any, monkeypatch: pytest.MonkeyPatch, answer: str, runs: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    if runs:
        assert hub.load("some/models", "tiny") == 10
    else:
        with pytest.raises(RuntimeError, match="its code was not run"):
            hub.load("some/models", "tiny")


def test_code_is_fetched_once(
    github: Any, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert hub.load("some/models:" + "b" * 7, "tiny", trust_repo=True) == 10
    assert [name for name, _ in github.requests].count("b" * 7) == 1
    assert "Using cache found in" in capsys.readouterr().err
    assert sorted(os.listdir(home)) == [f"some_models_{'b' * 7}", "trusted_list"]
    changed = {k: v.replace("10", "11") for k, v in FILES.items()}
    github.files["b" * 7] = zipped({f"x/{k}": v for k, v in changed.items()})
    monkeypatch.delitem(sys.modules, "helper")  # Python keeps what has been imported
    assert hub.load("some/models:" + "b" * 7, "tiny", force_reload=True, verbose=False) == 11


def test_a_reference_of_a_fork_is_refused(github: Any) -> None:
    github.files["c" * 7] = zipped({"x/hubconf.py": HUBCONF})
    with pytest.raises(ValueError, match="from a forked repo"):
        hub.load("some/models:" + "c" * 7, "tiny", trust_repo=True)


@pytest.mark.parametrize("name", ["models", "a/b/c", "../x", "a/..", "a/b:c d", "/a/b"])
def test_names_of_other_forms_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="does not name a repository"):
        hub.load(name, "tiny", trust_repo=True)


def test_archives_of_other_forms_are_refused(github: Any, home: Path) -> None:
    for content, words in (
        (zipped({"../../evil.py": ""}), "outside"),
        (zipped({"a/x": "", "b/x": ""}), "holds one folder"),
        (b"no archive", "no zip archive"),
    ):
        github.files["v1"] = content
        with pytest.raises(RuntimeError, match=words):
            hub.load("some/models:v1", "tiny", trust_repo=True)
    assert os.listdir(home) == ["trusted_list"]
