"""Fetching files: resumed where they broke off, checked, and put in place in one step.

A file under its final name is complete.  What is on its way is called ``NAME.part``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.client import HTTPResponse

_CHUNK = 1 << 20
_ATTEMPTS = 3
_TIMEOUT = 30.0  # seconds without a byte
_ALGORITHM_OF_LENGTH = {32: "md5", 40: "sha1", 64: "sha256"}


class Broken(OSError):
    """The transfer ended early; what has arrived is kept for the next attempt."""


def _algorithm(checksum: str) -> str:
    algorithm, found, _ = checksum.partition(":")
    if found:
        return algorithm
    try:
        return _ALGORITHM_OF_LENGTH[len(checksum)]
    except KeyError:
        raise ValueError(
            f"checksum {checksum!r} is neither MD5 (32 hex digits), SHA-1 (40) nor SHA-256 (64)"
        ) from None


def checksum_of(path: str | Path, algorithm: str = "md5") -> str:
    """The hash of a file as hex digits."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return digest.hexdigest()


def is_intact(path: str | Path, checksum: str | None = None) -> bool:
    """Whether a file is there and, if a checksum is given, has it.

    Args:
        path: the file.
        checksum: hex digits; their number tells MD5, SHA-1 and SHA-256 apart.
    """
    if not os.path.isfile(path):
        return False
    return checksum is None or _fits(checksum_of(path, _algorithm(checksum)), checksum)


def _fits(found: str, checksum: str) -> bool:
    algorithm, is_prefix, digits = checksum.lower().partition(":")
    return found.startswith(digits) if is_prefix else found == algorithm


def fetch(
    urls: Sequence[str], path: str | Path, checksum: str | None = None, progress: bool = True,
    again: bool = False,
) -> None:
    """Have a file, from the first mirror that gives it.

    Does nothing if the file is there with the right checksum.  Several processes may ask for the
    same file at once: one fetches it.

    Args:
        urls: the same file at several places (``https:``, ``http:`` or ``file:``).
        path: where it goes.
        checksum: MD5, SHA-1 or SHA-256 in hex digits; or ``"sha256:"`` and the first of them.
        progress: whether a terminal is shown how far it is.
        again: fetch it although it is there, if no checksum tells that it is the same.

    Raises:
        ValueError: an address or a checksum of another kind.
        RuntimeError: no mirror gave the file, or what it gave has another checksum; the message
            names the file, both checksums and what to do.
    """
    if checksum is not None:
        _algorithm(checksum)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with _exclusive(path.parent):
        if is_intact(path, checksum) and not (again and checksum is None):
            return
        failures: list[str] = []
        for url in urls:
            try:
                _fetch(url, part, checksum, progress)
            except (OSError, RuntimeError) as error:
                failures.append(f"  {url}: {error}")
                continue
            os.replace(part, path)
            return
    tried = "\n".join(failures)
    raise RuntimeError(
        f"could not download {path.name}:\n{tried}\n"
        f"Try again later, name another mirror, or put the file at {path} yourself."
    )


def _fetch(url: str, part: Path, checksum: str | None, progress: bool) -> None:
    """One mirror; connections that break are resumed."""
    resumed = part.exists()
    for attempt in range(_ATTEMPTS):
        try:
            _transfer(url, part, checksum is not None, progress)
            break
        except Broken:
            resumed = True
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.2 * 2**attempt)
    try:
        _verify(part, checksum)
    except RuntimeError:
        part.unlink()
        if not resumed:
            raise
        # The beginning may be that of another version of the file: take it in one piece.
        _transfer(url, part, False, progress)
        try:
            _verify(part, checksum)
        except RuntimeError:
            part.unlink()
            raise


def _verify(part: Path, checksum: str | None) -> None:
    if checksum is None:
        return
    algorithm = _algorithm(checksum)
    found = checksum_of(part, algorithm)
    if not _fits(found, checksum):
        raise RuntimeError(
            f"{part.name.removesuffix('.part')} is corrupt: expected {algorithm} {checksum}, "
            f"found {found} ({part.stat().st_size} bytes). The transfer was damaged or the server "
            "has another file; nothing was kept, so another attempt fetches it anew"
        )


def _transfer(url: str, part: Path, resume: bool, progress: bool) -> None:
    import urllib.error
    import urllib.request

    if not url.startswith(("https://", "http://", "file://")):
        raise ValueError(f"{url!r}: only https:, http: and file: addresses can be downloaded")
    done = part.stat().st_size if resume and part.exists() else 0
    headers = {"User-Agent": "flambeau"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and done:  # there is nothing after what we have
            return
        raise
    with response:
        continued = getattr(response, "status", None) == 206
        with open(part, "ab" if continued else "wb") as file:
            _copy(response, file, done if continued else 0, progress)


def _copy(response: HTTPResponse, file: IO[bytes], done: int, progress: bool) -> None:
    length = response.headers.get("Content-Length")
    expected = None if length is None else done + int(length)
    name = os.path.basename(file.name).removesuffix(".part")
    with _progress(name, expected, done, progress) as advance:
        while True:
            try:
                chunk = response.read(_CHUNK)
            except OSError as error:
                raise Broken(f"the connection broke after {done} bytes: {error}") from error
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            advance(len(chunk))
    if expected is not None and done < expected:
        raise Broken(f"the connection ended after {done} of {expected} bytes")


@contextlib.contextmanager
def _progress(name: str, total: int | None, done: int, wanted: bool) -> Iterator[Any]:
    """A progress bar on a terminal, if tqdm is installed."""
    try:
        import tqdm
    except ImportError:
        yield lambda _: None
        return
    with tqdm.tqdm(
        desc=name, total=total, initial=done, unit="B", unit_scale=True,
        disable=None if wanted else True, leave=False,
    ) as bar:
        yield bar.update


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """One process at a time in a folder, where the system has file locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
