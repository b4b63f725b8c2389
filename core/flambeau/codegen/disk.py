"""Compiled kernels on disk: private to the user, checked when read, bounded in size.

A cache entry runs as code of the user's, so nobody else may have written it.  Folders are made
with mode 0700, and neither a folder nor a file is trusted that belongs to another user or that
others may write.  An entry ends with the SHA-256 of its content: one that was cut short or has
changed is not used, and written anew by whoever needed it.

Environment:
    ``FLAMBEAU_CACHE``: the folder to use, or ``off`` to keep nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

LIMIT: Final = 256 << 20
"""Bytes that a cache may take by default."""
_DIGEST_SIZE: Final = 32
_ABANDONED: Final = 3600.0  # seconds after which a temporary file has no writer any more


class DiskCache:
    """Bytes by key in a folder of the user's; a miss wherever anything is wrong with the folder.

    What was used least recently goes first when the cache outgrows its limit.

    Args:
        name: the folder's name below the cache folder, such as the dialect.
        limit: bytes that all entries together may take.
    """

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self._name, self._limit = name, limit
        self._folder: Path | None = None
        self._is_open = False
        self._written = 0  # bytes since the folder was last measured

    @property
    def folder(self) -> Path | None:
        """Where entries are kept; ``None`` if no trustworthy folder can be had."""
        if not self._is_open:
            self._folder, self._is_open = private_folder(self._name), True
        return self._folder

    def get(self, *key: str | bytes) -> bytes | None:
        """The content stored under a key, or ``None``."""
        if (folder := self.folder) is None:
            return None
        path = folder / _name_of(key)
        content = _read(path)
        if content is not None:
            with suppress(OSError):
                os.utime(path)  # used just now: the last to go
        return content

    def put(self, content: bytes, *key: str | bytes) -> None:
        """Store content under a key, in one step; a disk that is full or read-only is no error."""
        if (folder := self.folder) is None:
            return
        with suppress(OSError):
            _write(folder / _name_of(key), content)
            if not self._written or self._written + len(content) > self._limit // 4:
                _prune(folder, self._limit)
                self._written = 0
            self._written += len(content) + 1  # +1: an empty entry counts as written, too


def private_folder(*names: str) -> Path | None:
    """A folder below the user's cache folder that nobody else can write, made if needed.

    Args:
        names: folder names, outermost first.

    Returns:
        ``None`` if it cannot be had: the cache is turned off, the disk is read-only, or a folder
        on the way belongs to someone else or is open to others.
    """
    root = _root()
    if root is None:
        return None
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        folder = root
        for name in ("", *names):
            folder = folder / name
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            if not _is_private(os.lstat(folder)) or not folder.is_dir():
                return None
    except OSError:
        return None
    return folder


def _root() -> Path | None:
    """The cache folder by the conventions of the system; ``None`` if the cache is turned off."""
    given = os.environ.get("FLAMBEAU_CACHE", "")
    if given:
        return None if given == "off" else Path(given).expanduser().absolute()
    try:
        home = Path.home()
    except RuntimeError:  # no home folder, as for some service accounts
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local") / "flambeau" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "flambeau"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "flambeau"


def _name_of(key: tuple[str | bytes, ...]) -> str:
    """The SHA-256 of the parts with their lengths, so that ("ab", "c") differs from ("a", "bc")."""
    digest = hashlib.sha256()
    for part in key:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _is_private(found: os.stat_result) -> bool:
    """Whether this user owns something that is no link and that nobody else can write."""
    if sys.platform == "win32":  # a profile is private by its access control list
        return True
    return (
        found.st_uid == os.geteuid()
        and not stat.S_ISLNK(found.st_mode)
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _read(path: Path) -> bytes | None:
    """The content of an intact entry of this user's."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            if not _is_private(os.fstat(file.fileno())):
                return None
            stored = file.read()
    except OSError:
        return None
    content, digest = stored[:-_DIGEST_SIZE], stored[-_DIGEST_SIZE:]
    return content if hashlib.sha256(content).digest() == digest else None


def _write(path: Path, content: bytes) -> None:
    """Put an entry in place at once: a reader sees the old one, the new one, or none."""
    number, temporary = tempfile.mkstemp(prefix="writing-", dir=path.parent)  # mode 0600
    try:
        with open(number, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _prune(folder: Path, limit: int) -> None:
    """Delete what was used least recently, if more than three quarters of the limit are taken.

    The last quarter is what may be written before the next measurement.
    """
    now = time.time()
    entries = []
    for each in os.scandir(folder):
        with suppress(OSError):  # another process may prune, too
            facts = each.stat(follow_symlinks=False)
            if each.name.startswith("writing-"):
                if now - facts.st_mtime > _ABANDONED:
                    os.unlink(each.path)
                continue
            entries.append((facts.st_mtime, facts.st_size, each.path))
    total = sum(size for _, size, _ in entries)
    if total <= limit * 3 // 4:
        return
    for _, size, path in sorted(entries):
        if total <= limit // 2:
            return
        with suppress(OSError):
            os.unlink(path)
            total -= size
