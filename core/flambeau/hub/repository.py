"""Repositories: fetched from GitHub into the folder of the hub, and only used if trusted."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flambeau import download
from flambeau.hub.cache import get_dir, is_offline, refuse_offline

CODE, API = "https://github.com", "https://api.github.com"
_TRUSTED = "trusted_list"
_PER_PAGE, _MOST_PAGES = 100, 20


class Repository(NamedTuple):
    """A repository at a branch, tag or commit; None stands for the default branch."""

    owner: str
    name: str
    ref: str | None

    @property
    def key(self) -> str:
        """How the list of trusted repositories calls it: trust is in an owner's repository."""
        return f"{self.owner}_{self.name}"


def parse(text: str) -> Repository:
    """Read ``"owner/name"`` or ``"owner/name:ref"``.

    Raises:
        ValueError: for another form.
    """
    found = re.fullmatch(r"([\w.-]+)/([\w.-]+)(?::([\w./-]+))?", text)
    if found is None or any(part in (".", "..") for part in text.split("/")):
        raise ValueError(f"{text!r} does not name a repository: write 'owner/name[:ref]'")
    return Repository(*found.groups())


def folder(
    github: str,
    force_reload: bool,
    trust_repo: bool | str,
    verbose: bool,
    skip_validation: bool,
) -> Path:
    """Where the code of a repository lies, fetched if it is not there.

    Raises:
        ValueError: for another form of name, or a reference that the repository has not.
        RuntimeError: if it is not trusted, or could not be fetched.
    """
    repository = parse(github)
    require_trust(repository, trust_repo)
    home = Path(get_dir())
    if repository.ref is None:
        repository = repository._replace(ref=_default_ref(repository, home))
    ref = str(repository.ref)
    place = home / "_".join((repository.owner, repository.name, ref.replace("/", "_")))
    if place.exists() and (not force_reload or is_offline()):
        if verbose:
            print(f"Using cache found in {place}", file=sys.stderr)
        return place
    refuse_offline(github, place)
    if not skip_validation:
        _validate(repository, ref)
    _fetch(repository, ref, place)
    return place


def require_trust(repository: Repository, trust_repo: bool | str) -> None:
    """Stop unless the caller, or the person at the terminal, trusts the code of a repository.

    Raises:
        RuntimeError: saying how to trust it.
        ValueError: for another ``trust_repo``.
    """
    if trust_repo not in (True, False, "check"):
        raise ValueError(f"trust_repo must be True, False or 'check', got {trust_repo!r}")
    listed = Path(get_dir()) / _TRUSTED
    known = listed.read_text().split() if listed.exists() else []
    if trust_repo is not True:
        if trust_repo == "check" and repository.key in known:
            return
        _ask(repository)
    if trust_repo is not False and repository.key not in known:
        listed.parent.mkdir(parents=True, exist_ok=True)
        with open(listed, "a") as file:
            file.write(f"{repository.key}\n")


def _ask(repository: Repository) -> None:
    name = f"{repository.owner}/{repository.name}"
    if not sys.stdin.isatty():
        raise RuntimeError(
            f"the repository {name} is not trusted, and its code was not run: pass "
            "trust_repo=True if you trust it"
        )
    answer = input(f"The code of {name} is about to be run. Do you trust it? (y/N) ")
    if answer.strip().lower() not in ("y", "yes"):
        raise RuntimeError(f"the repository {name} is not trusted, and its code was not run")


def _default_ref(repository: Repository, home: Path) -> str:
    """``main`` or ``master``: what is there, or what the repository has."""
    for ref in ("main", "master"):
        if (home / f"{repository.owner}_{repository.name}_{ref}").exists() and is_offline():
            return ref
    refuse_offline(f"{repository.owner}/{repository.name}", home)
    found: str = _ask_api(f"/repos/{repository.owner}/{repository.name}")["default_branch"]
    return found


def _validate(repository: Repository, ref: str) -> None:
    """Check that a reference is the repository's own: GitHub also serves those of its forks.

    Raises:
        ValueError: if it has no such branch, tag or commit.
    """
    for kind in ("branches", "tags"):
        for item in _pages(f"/repos/{repository.owner}/{repository.name}/{kind}"):
            if ref == item["name"] or item["commit"]["sha"].startswith(ref):
                return
    raise ValueError(
        f"Cannot find {ref} in https://github.com/{repository.owner}/{repository.name}. If it's a "
        "commit from a forked repo, please call hub.load() with the forked repo directly."
    )


def _pages(path: str) -> Iterator[Any]:
    for page in range(1, _MOST_PAGES + 1):
        items = _ask_api(f"{path}?per_page={_PER_PAGE}&page={page}")
        yield from items
        if len(items) < _PER_PAGE:
            return


def _ask_api(path: str) -> Any:
    import urllib.error
    import urllib.request

    headers = {"Accept": "application/vnd.github+json", "User-Agent": "flambeau"}
    token = os.environ.get("GITHUB_TOKEN")
    if token:
        headers["Authorization"] = f"token {token}"
    request = urllib.request.Request(API + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise RuntimeError(f"could not ask {API}{path}: {error}") from error


def _fetch(repository: Repository, ref: str, place: Path) -> None:
    """Fetch the archive of a repository, and put its one folder in place in one step."""
    url = f"{CODE}/{repository.owner}/{repository.name}/zipball/{ref}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-") as work:
        packed = Path(work, "code.zip")
        download.fetch([url], packed)
        unpacked = _unpack(packed, Path(work, "code"))
        if place.exists():
            shutil.rmtree(place)
        os.replace(unpacked, place)


def _unpack(packed: Path, into: Path) -> Path:
    """The one folder of an archive.

    Raises:
        RuntimeError: if it has another form, or would write elsewhere.
    """
    try:
        with zipfile.ZipFile(packed) as archive:
            for name in archive.namelist():
                if not (into / name).resolve().is_relative_to(into.resolve()):
                    raise RuntimeError(f"refused to unpack {name!r}: it lies outside of its folder")
            archive.extractall(into)
    except zipfile.BadZipFile as error:
        raise RuntimeError(f"what the server gave is no zip archive: {error}") from error
    folders = list(into.iterdir())
    if len(folders) != 1 or not folders[0].is_dir():
        raise RuntimeError("the archive of a repository holds one folder; this one does not")
    return folders[0]
