"""Fetching files over HTTP: resumed, checked, in place in one step."""

import hashlib
import os
import threading

import pytest

from flambeau import download
from flambeau.download import fetch, is_intact

CONTENT = os.urandom(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "deep" / "data.bin"


def names_beside(target):
    return sorted(path.name for path in target.parent.iterdir())


@pytest.mark.parametrize("checksum", [MD5, SHA256, SHA256.upper(), None])
def test_a_file(server, target, checksum):
    server.files["data.bin"] = CONTENT
    fetch([server.url + "data.bin"], target, checksum)
    assert target.read_bytes() == CONTENT
    assert names_beside(target) == ["data.bin"]


def test_a_file_that_is_there_is_not_fetched(server, target):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    fetch([server.url + "data.bin"], target, MD5)
    assert server.requests == []


def test_a_damaged_file_is_replaced(server, target):
    server.files["data.bin"] = CONTENT
    target.parent.mkdir()
    target.write_bytes(CONTENT[:100])
    fetch([server.url + "data.bin"], target, MD5)
    assert target.read_bytes() == CONTENT


def test_another_checksum_names_all_that_helps(server, target):
    server.files["data.bin"] = b"something else"
    with pytest.raises(RuntimeError) as found:
        fetch([server.url + "data.bin"], target, MD5)
    text = str(found.value)
    for words in ("data.bin is corrupt", f"expected md5 {MD5}", "found ", "14 bytes", "mirror"):
        assert words in text
    assert hashlib.md5(b"something else").hexdigest() in text
    assert names_beside(target) == []


def test_a_broken_connection_is_resumed(server, target):
    server.files["data.bin"] = CONTENT
    server.cuts = [100_000, 50_000]
    fetch([server.url + "data.bin"], target, MD5)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_transfer_goes_on_in_another_process_later(server, target):
    server.files["data.bin"] = CONTENT
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(RuntimeError, match="ended after 3000 of 300000 bytes"):
        fetch([server.url + "data.bin"], target, MD5)
    assert names_beside(target) == ["data.bin.part"]
    fetch([server.url + "data.bin"], target, MD5)
    assert server.requests[-1] == ("data.bin", "bytes=3000-")
    assert target.read_bytes() == CONTENT


def test_without_a_checksum_nothing_is_resumed(server, target):
    server.files["data.bin"] = CONTENT
    server.cuts = [1000]
    fetch([server.url + "data.bin"], target)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, None]


def test_a_server_without_ranges(server, target):
    server.files["data.bin"] = CONTENT
    server.cuts = [1000]
    server.has_ranges = False
    fetch([server.url + "data.bin"], target, MD5)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"beginning of another version", b"\x00" * 400_000])
def test_a_beginning_that_does_not_fit_is_fetched_again(server, target, left):
    server.files["data.bin"] = CONTENT
    target.parent.mkdir()
    target.with_name("data.bin.part").write_bytes(left)
    fetch([server.url + "data.bin"], target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_beginning_that_is_all(server, target):
    server.files["data.bin"] = CONTENT
    target.parent.mkdir()
    target.with_name("data.bin.part").write_bytes(CONTENT)
    fetch([server.url + "data.bin"], target, MD5)
    assert target.read_bytes() == CONTENT


def test_the_next_mirror(server, target):
    server.files["data.bin"] = CONTENT
    urls = ["http://127.0.0.1:9/data.bin", server.url + "none", server.url + "data.bin"]
    fetch(urls, target, MD5)
    assert target.read_bytes() == CONTENT


def test_all_mirrors_failed(server, target):
    urls = ["http://127.0.0.1:9/data.bin", server.url + "none"]
    with pytest.raises(RuntimeError) as found:
        fetch(urls, target, MD5)
    text = str(found.value)
    assert "could not download data.bin" in text
    assert urls[0] in text
    assert "404" in text
    assert f"put the file at {target}" in text


def test_a_file_of_this_machine(tmp_path, target):
    (tmp_path / "mirror").write_bytes(CONTENT)
    fetch([(tmp_path / "mirror").as_uri()], target, MD5)
    assert target.read_bytes() == CONTENT


def test_other_schemes_and_checksums_are_refused(target):
    with pytest.raises(ValueError, match="neither MD5"):
        fetch(["https://x/y"], target, "abc")
    with pytest.raises(ValueError, match="only https:"):
        fetch(["ftp://x/y"], target, MD5)


def test_several_at_once_fetch_it_once(server, target):
    server.files["data.bin"] = CONTENT
    threads = [
        threading.Thread(target=fetch, args=([server.url + "data.bin"], target, MD5))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_is_intact(tmp_path):
    path = tmp_path / "x"
    assert not is_intact(path)
    path.write_bytes(CONTENT)
    assert is_intact(path)
    assert is_intact(path, MD5)
    assert not is_intact(path, "0" * 32)
    assert not is_intact(tmp_path, None)
