"""Unpacking archives that came from elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tarfile


def extract_tar(archive: str | Path, root: str | Path) -> None:
    """Unpack the folders and regular files of a tar archive, compressed or not.

    Every file appears complete or not at all.  Nothing is unpacked if a member is a link or a
    device, or would land outside of the folder.

    Args:
        archive: the tar file.
        root: the folder to unpack into.

    Raises:
        RuntimeError: the archive is damaged, or is refused.
    """
    import tarfile

    root = Path(root)
    with _reporting_damage(archive), tarfile.open(archive) as tar:
        members = tar.getmembers()
        targets = [_target(member, archive, root) for member in members]
        for member, target in zip(members, targets, strict=True):
            content = tar.extractfile(member)
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
            else:
                write_atomically(content, target)


def _target(member: tarfile.TarInfo, archive: str | Path, root: Path) -> Path:
    """Where a member goes.

    Raises:
        RuntimeError: it is no folder or regular file, or it points outside of the root.
    """
    if not (member.isreg() or member.isdir()):
        raise RuntimeError(
            f"{archive}: refused to unpack {member.name!r}: a link or a device has no place in a "
            "dataset. Nothing was unpacked"
        )
    target = (root / member.name).resolve()
    if not target.is_relative_to(root.resolve()):
        raise RuntimeError(
            f"{archive}: refused to unpack {member.name!r}: it would be written outside of {root}. "
            "Nothing was unpacked; do not use this archive"
        )
    return target


def gunzip(archive: str | Path, target: str | Path) -> None:
    """Decompress a gzip file.

    Raises:
        RuntimeError: it is damaged.
    """
    import gzip

    with _reporting_damage(archive), gzip.open(archive) as content:
        write_atomically(content, Path(target))


def write_atomically(content: Any, target: Path) -> None:
    """Write a file so that under its name it is either complete or not there.

    Args:
        content: an open binary file.
        target: where it goes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _reporting_damage(archive: str | Path) -> Iterator[None]:
    import tarfile
    import zlib

    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the archive
        reason = str(error).partition(":\n")[0]  # what every decompressor says follows
        raise RuntimeError(
            f"{archive} is corrupt and cannot be unpacked ({reason}). Delete it and run again with "
            "download=True"
        ) from error
