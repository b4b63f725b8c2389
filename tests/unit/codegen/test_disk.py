"""The disk cache gives back what was stored, and nothing that anybody else could have written."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flambeau.codegen import disk
from flambeau.codegen.disk import DiskCache, private_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX ones")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    monkeypatch.setenv("FLAMBEAU_CACHE", str(place))
    return place


def entry(cache: DiskCache) -> Path:
    """The only file of a cache."""
    assert cache.folder is not None
    [path] = cache.folder.iterdir()
    return path


# ---- storing ---------------------------------------------------------------------------------
@pytest.mark.parametrize("content", [b"", b"\0", b"kernel" * 1000])
def test_what_is_stored_comes_back_in_another_process_too(root: Path, content: bytes) -> None:
    DiskCache("opencl").put(content, "source", "flags")
    assert DiskCache("opencl").get("source", "flags") == content


def test_a_key_is_a_miss_until_it_is_stored(root: Path) -> None:
    cache = DiskCache("opencl")
    assert cache.get("source") is None
    cache.put(b"binary", "source")
    assert cache.get("source") == b"binary"
    assert cache.get("other source") is None


def test_caches_of_different_names_are_apart(root: Path) -> None:
    DiskCache("opencl").put(b"binary", "source")
    assert DiskCache("cuda").get("source") is None


def test_an_entry_can_be_replaced(root: Path) -> None:
    cache = DiskCache("opencl")
    cache.put(b"old", "source")
    cache.put(b"new", "source")
    assert cache.get("source") == b"new"


def test_the_parts_of_a_key_do_not_run_together(root: Path) -> None:
    cache = DiskCache("opencl")
    cache.put(b"binary", "ab", "c")
    assert cache.get("a", "bc") is None
    assert cache.get("ab", "c", "") is None
    assert cache.get(b"ab", b"c") == b"binary"


@given(st.lists(st.binary(max_size=4), max_size=3), st.lists(st.binary(max_size=4), max_size=3))
def test_names_are_equal_exactly_when_keys_are(one: list[bytes], other: list[bytes]) -> None:
    assert (disk._name_of(tuple(one)) == disk._name_of(tuple(other))) == (one == other)


def test_many_threads_may_write_one_entry(root: Path) -> None:
    cache = DiskCache("opencl")
    contents = [bytes([n]) * 50_000 for n in range(8)]
    threads = [threading.Thread(target=cache.put, args=(c, "source")) for c in contents]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert cache.get("source") in contents
    entry(cache)  # and no temporary file is left


# ---- damage ----------------------------------------------------------------------------------
@pytest.mark.parametrize("damage", [
    lambda data: data[:-1], lambda data: data[:10], lambda data: b"",
    lambda data: b"X" + data[1:], lambda data: data + b"more",
], ids=["cut", "cut-short", "empty", "changed", "longer"])
def test_a_damaged_entry_is_ignored_and_written_anew(root: Path, damage) -> None:
    cache = DiskCache("opencl")
    cache.put(b"binary of a kernel", "source")
    path = entry(cache)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("source") is None
    cache.put(b"binary of a kernel", "source")
    assert cache.get("source") == b"binary of a kernel"


def test_a_disk_that_cannot_be_written_is_no_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    cache = DiskCache("opencl")
    monkeypatch.setattr(disk.os, "replace", full)
    cache.put(b"binary", "source")
    assert cache.get("source") is None
    assert list(cache.folder.iterdir()) == []


# ---- privacy ---------------------------------------------------------------------------------
@posix
def test_folders_and_files_are_private(root: Path) -> None:
    cache = DiskCache("opencl")
    before = os.umask(0)
    try:
        cache.put(b"binary", "source")
    finally:
        os.umask(before)
    assert [p.stat().st_mode & 0o777 for p in (root, root / "opencl", entry(cache))] == [
        0o700, 0o700, 0o600]


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720, 0o702])
@pytest.mark.parametrize("which", ["root", "folder"])
def test_a_folder_that_others_can_write_is_not_used(root: Path, mode: int, which: str) -> None:
    DiskCache("opencl").put(b"binary", "source")
    (root if which == "root" else root / "opencl").chmod(mode)
    cache = DiskCache("opencl")
    assert cache.folder is None
    assert cache.get("source") is None
    cache.put(b"other", "source")  # goes nowhere


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_not_loaded(root: Path, mode: int) -> None:
    cache = DiskCache("opencl")
    cache.put(b"binary", "source")
    entry(cache).chmod(mode)
    assert cache.get("source") is None
    cache.put(b"binary", "source")
    assert cache.get("source") == b"binary"


@posix
def test_what_another_user_owns_is_not_loaded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskCache("opencl")
    cache.put(b"binary", "source")
    me = os.geteuid()
    monkeypatch.setattr(disk.os, "geteuid", lambda: me + 1)
    assert cache.get("source") is None  # the file's owner is not the user
    assert DiskCache("opencl").folder is None  # nor the folder's


@posix
def test_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    cache = DiskCache("opencl")
    cache.put(b"binary", "source")
    path = entry(cache)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.get("source") is None
    (root / "linked").symlink_to(tmp_path)
    assert private_folder("linked") is None


# ---- where -----------------------------------------------------------------------------------
def test_the_cache_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMBEAU_CACHE", "off")
    cache = DiskCache("opencl")
    cache.put(b"binary", "source")
    assert cache.folder is None
    assert cache.get("source") is None


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems, other places")
def test_the_place_follows_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FLAMBEAU_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert DiskCache("opencl").folder == tmp_path / "xdg" / "flambeau" / "opencl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert DiskCache("opencl").folder == tmp_path / "home" / ".cache" / "flambeau" / "opencl"


def test_a_place_that_is_a_file_gives_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path / "file"))
    assert DiskCache("opencl").folder is None
    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path / "file" / "below"))
    assert DiskCache("opencl").folder is None


# ---- size ------------------------------------------------------------------------------------
def test_what_was_used_least_recently_goes_first(root: Path) -> None:
    cache = DiskCache("opencl", limit=100_000)
    folder = cache.folder
    assert folder is not None
    long_ago = time.time() - 1000
    for n in range(7):
        cache.put(bytes(10_000), str(n))
        path = folder / disk._name_of((str(n),))
        os.utime(path, (long_ago + n, long_ago + n))
    assert cache.get("0") is not None  # used: now the last to go
    cache.put(bytes(26_000), "big")
    kept = [n for n in range(7) if cache.get(str(n)) is not None]
    assert kept == [0, 6]
    assert cache.get("big") is not None
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 50_000


def test_a_cache_stays_bounded_over_many_processes(root: Path) -> None:
    for n in range(40):
        DiskCache("opencl", limit=50_000).put(bytes(10_000), str(n))
    assert sum(p.stat().st_size for p in (root / "opencl").iterdir()) <= 50_000


def test_abandoned_temporary_files_are_deleted(root: Path) -> None:
    folder = private_folder("opencl")
    assert folder is not None
    for name, age in (("writing-old", 7200), ("writing-new", 10)):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (time.time() - age,) * 2)
    DiskCache("opencl").put(b"binary", "source")
    names = {p.name for p in folder.iterdir()}
    assert "writing-old" not in names
    assert "writing-new" in names


@posix
def test_another_process_reads_what_this_one_wrote(root: Path) -> None:
    DiskCache("opencl").put(b"binary", "source")
    code = "from flambeau.codegen.disk import DiskCache; print(DiskCache('opencl').get('source'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "b'binary'"
