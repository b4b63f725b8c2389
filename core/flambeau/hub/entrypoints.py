"""The functions of a ``hubconf.py``: listed, explained, called."""

from __future__ import annotations

import builtins
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from flambeau.hub import repository

_HUBCONF = "hubconf.py"


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str = "check",
    verbose: bool = True,
    source: str = "github",
) -> builtins.list[str]:
    """The names that ``load`` can be given for a repository.

    Args:
        github: see :func:`load`, as what follows.
    """
    module = _hubconf(github, source, force_reload, trust_repo, verbose, skip_validation)
    return [
        name for name, value in vars(module).items() if callable(value) and not name.startswith("_")
    ]


def help(
    github: str,
    model: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str = "check",
    source: str = "github",
) -> str | None:
    """The docstring of an entry point.

    Args:
        github: see :func:`load`, as what follows.
    """
    module = _hubconf(github, source, force_reload, trust_repo, True, skip_validation)
    return inspect.getdoc(_entry(module, model))


def load(
    repo_or_dir: str | os.PathLike[str],
    model: str,
    *args: Any,
    source: str = "github",
    trust_repo: bool | str = "check",
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs: Any,
) -> Any:
    """Call an entry point of a repository's ``hubconf.py``.

    Args:
        repo_or_dir: ``"owner/name"`` or ``"owner/name:ref"``, a branch, tag or commit, on GitHub;
            a folder for ``source="local"``.
        model: the name of the entry point, which gets the arguments that no name here takes.
        source: "github" or "local".
        trust_repo: for code from GitHub.  True: run it, and remember that this repository is
            trusted.  "check": run it if that is remembered, else ask at a terminal, and refuse
            where there is none.  False: ask every time.
        force_reload: fetch the code although it is there.
        verbose: say on standard error that code that was there is used.
        skip_validation: do not ask GitHub whether the reference is the repository's own and not
            one of a fork.

    Raises:
        ValueError: for another source or form of name, or a reference that the repository has not.
        RuntimeError: if it is not trusted, could not be fetched, lacks the entry point, or needs
            packages that are not installed.
    """
    module = _hubconf(repo_or_dir, source, force_reload, trust_repo, verbose, skip_validation)
    return _entry(module, model)(*args, **kwargs)


def _hubconf(
    place: str | os.PathLike[str],
    source: str,
    force_reload: bool,
    trust_repo: bool | str,
    verbose: bool,
    skip_validation: bool,
) -> ModuleType:
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        folder = repository.folder(
            os.fspath(place), force_reload, trust_repo, verbose, skip_validation
        )
    else:
        folder = Path(place)
    return _imported(folder)


def _imported(folder: Path) -> ModuleType:
    """The ``hubconf.py`` of a folder; what stands beside it can be imported meanwhile."""
    path = folder / _HUBCONF
    if not path.is_file():
        raise RuntimeError(f"{folder} has no {_HUBCONF}")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


def _entry(module: ModuleType, name: str) -> Any:
    """An entry point whose packages are installed."""
    if not isinstance(name, str):
        raise ValueError("Invalid input: model should be a string of function name")
    needed = getattr(module, "dependencies", None) or ()
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    found = getattr(module, name, None)
    if not callable(found):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return found
