"""Weights from an address: fetched once, checked, loaded."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from flambeau import download
from flambeau.hub.cache import get_dir, refuse_offline

_HASH = re.compile(r"-([a-f0-9]+)\.")
_DATA = "data.pkl"
"""What a checkpoint has in its archive, and an archive of a checkpoint has not."""


def download_url_to_file(
    url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Fetch a file; it appears under its name when it is complete and right.

    A transfer that broke off goes on where it stopped if a checksum can tell that the parts belong
    together.

    Args:
        url: ``https:``, ``http:`` or ``file:``.
        dst: where it goes, a full path.
        hash_prefix: the first hex digits of its SHA-256; without them any content will do.
        progress: whether a terminal is shown how far it is.

    Raises:
        RuntimeError: the server did not give it, or it has another checksum.
    """
    checksum = f"sha256:{hash_prefix}" if hash_prefix else None
    refuse_offline(url, dst)
    download.fetch([url], Path(dst), checksum, progress, again=True)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> dict[str, Any]:
    """Load the checkpoint at an address, fetching it if it is not there.

    Args:
        url: where it is.
        model_dir: where it is kept; ``checkpoints`` in ``get_dir()`` by default.
        map_location: where its tensors go: see ``flambeau.load``.
        progress: whether a terminal is shown how far it is.
        check_hash: check that the file begins its SHA-256 as the address says, which ends in
            ``NAME-DIGITS.EXTENSION``.
        file_name: its name in the folder; by default that of the address.
        weights_only: run no code from the file.  PyTorch's default is False.

    Raises:
        RuntimeError: the file could not be had, or is no checkpoint.
    """
    from flambeau.serialization import load

    folder = Path(model_dir) if model_dir is not None else Path(get_dir()) / "checkpoints"
    path = folder / (file_name or os.path.basename(urlparse(url).path))
    if not path.exists():
        digits = _HASH.search(os.path.basename(urlparse(url).path)) if check_hash else None
        download_url_to_file(url, path, digits[1] if digits else None, progress)
    loaded: dict[str, Any] = load(
        _unpacked(path), map_location=map_location, weights_only=weights_only
    )
    return loaded


def _unpacked(path: Path) -> Path:
    """The checkpoint itself, if the file is an archive of nothing else."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.filename.endswith(_DATA) for member in members):
            return path
        if len(members) != 1:
            raise RuntimeError("Only one file(not dir) is allowed in the zipfile")
        from flambeau.vision.archive import write_atomically

        target = path.parent / os.path.basename(members[0].filename)
        if not target.exists() or target.stat().st_size != members[0].file_size:
            with archive.open(members[0]) as content:
                write_atomically(content, target)
        return target
