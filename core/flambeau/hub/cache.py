"""Where the hub keeps what it has fetched."""

from __future__ import annotations

import os

_chosen: str | None = None


def get_dir() -> str:
    """The folder of the hub: what ``set_dir`` has set, or ``hub`` in ``$FLAMBEAU_HOME``.

    Without that variable it is ``$XDG_CACHE_HOME/flambeau/hub``, or ``~/.cache/flambeau/hub``.
    """
    if _chosen is not None:
        return _chosen
    home = os.environ.get("FLAMBEAU_HOME")
    if home:
        return os.path.join(os.path.expanduser(home), "hub")
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(os.path.expanduser(caches), "flambeau", "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the folder of the hub."""
    global _chosen
    _chosen = os.path.expanduser(os.fspath(d))


def is_offline() -> bool:
    """Whether ``FLAMBEAU_HUB_OFFLINE`` forbids to ask servers."""
    return os.environ.get("FLAMBEAU_HUB_OFFLINE", "") not in ("", "0")


def refuse_offline(what: str, where: str | os.PathLike[str]) -> None:
    """Stop before a server is asked, if that is forbidden.

    Raises:
        RuntimeError: naming what would be fetched, and where it would lie.
    """
    if is_offline():
        raise RuntimeError(
            f"{what} is not at {where}, and FLAMBEAU_HUB_OFFLINE forbids to fetch it; put it "
            "there, or unset the variable"
        )
