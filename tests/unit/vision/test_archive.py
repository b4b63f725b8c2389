"""Unpacking archives that came from elsewhere."""

import gzip
import io
import os
import tarfile

import pytest

from flambeau.vision import archive
from flambeau.vision.archive import extract_tar, gunzip


def make_tar(path, *members, mode="w:gz"):
    """Members are (name, content) or TarInfo objects."""
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_files_and_folders(tmp_path, mode):
    folder = special("a/empty", tarfile.DIRTYPE)
    packed = make_tar(tmp_path / "x.tar", ("a/b/1", b"one"), folder, ("2", b"two"), mode=mode)
    extract_tar(packed, tmp_path / "out")
    assert (tmp_path / "out/a/b/1").read_bytes() == b"one"
    assert (tmp_path / "out/2").read_bytes() == b"two"
    assert (tmp_path / "out/a/empty").is_dir()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["2", "a"]


LEADING_OUT = ["../evil", "a/../../evil", "/tmp/flambeau-evil", "a/./../../evil"]


@pytest.mark.parametrize("name", LEADING_OUT)
def test_a_path_that_leads_out_is_refused(tmp_path, name):
    packed = make_tar(tmp_path / "x.tgz", ("good", b"1"), (name, b"2"))
    with pytest.raises(RuntimeError, match="outside") as found:
        extract_tar(packed, tmp_path / "out")
    assert name in str(found.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "evil").exists()
    assert not os.path.exists("/tmp/flambeau-evil")


@pytest.mark.parametrize(
    "member",
    [
        special("link", tarfile.SYMTYPE, "/etc"),
        special("hard", tarfile.LNKTYPE, "good"),
        special("device", tarfile.CHRTYPE),
        special("pipe", tarfile.FIFOTYPE),
    ],
)
def test_links_and_devices_are_refused(tmp_path, member):
    packed = make_tar(tmp_path / "x.tgz", ("good", b"1"), member)
    with pytest.raises(RuntimeError, match=f"refused to unpack '{member.name}'"):
        extract_tar(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    packed = make_tar(tmp_path / "x.tgz", ("a", os.urandom(5000)))
    content = packed.read_bytes()
    packed.write_bytes({"cut": content[:2000], "noise": b"\x01" * 2000, "empty": b""}[damage])
    with pytest.raises(RuntimeError, match=r"x\.tgz is corrupt.*download=True"):
        extract_tar(packed, tmp_path / "out")


def test_a_missing_archive_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        extract_tar(tmp_path / "none.tar", tmp_path)


def test_gunzip(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"content"))
    gunzip(tmp_path / "x.gz", tmp_path / "deep/x")
    assert (tmp_path / "deep/x").read_bytes() == b"content"


@pytest.mark.parametrize("cut", [5, 20])
def test_a_damaged_gzip_leaves_nothing(tmp_path, cut):
    (tmp_path / "x.gz").write_bytes(gzip.compress(os.urandom(1000))[:cut])
    with pytest.raises(RuntimeError, match=r"x\.gz is corrupt"):
        gunzip(tmp_path / "x.gz", tmp_path / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["x.gz"]


def test_a_file_is_there_complete_or_not_at_all(tmp_path):
    class Breaking(io.BytesIO):
        def read(self, n=-1):
            if self.tell() > 2:
                raise OSError(5, "disk")
            return super().read(3)

    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(OSError, match="disk"):
        archive.write_atomically(Breaking(b"123456"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_files_get_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    archive.write_atomically(io.BytesIO(b"1"), tmp_path / "x")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode
