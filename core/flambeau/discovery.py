"""Which backends are installed, from package metadata alone, and words for those that are not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

State = Literal["not loaded", "ready", "broken", "missing", "disabled", "ambiguous"]
"""``missing``: a first-party backend whose extra is not installed."""

GROUP: Final = "flambeau.backends"
"""The entry-point group of backends; the name of an entry point is a device type."""
EXTRAS: Final = {"cuda": "cuda12x", "opencl": "opencl"}
"""The extra of flambeau that installs what a first-party device type needs."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A backend that is installed, or registered in this process."""

    name: str
    distribution: str
    version: str
    entry_point: str
    state: State
    error: RuntimeError | None = None
    """Why it cannot be used, if it is broken, missing, disabled or ambiguous."""


def discover() -> dict[str, Installed]:
    """The backends of this environment by device type; nothing is imported."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    disabled = _disabled()
    return {n: _record(n, found[n], n in disabled) for n in sorted(found)}


def _record(name: str, entries: list[EntryPoint], is_disabled: bool) -> Installed:
    owners = sorted(_owner(e) for e in entries)
    names, versions = (", ".join(each) for each in zip(*owners, strict=True))
    state: State = "not loaded"
    error = None
    if is_disabled:
        state = "disabled"
        error = f"device {name!r} is disabled by the environment variable FLAMBEAU_DISABLE"
    elif len(entries) > 1:
        state = "ambiguous"
        error = (
            f"device {name!r} is provided by {len(entries)} distributions: "
            f"{' and '.join(map(' '.join, owners))}; uninstall all but one (pip uninstall NAME)"
        )
    reason = None if error is None else RuntimeError(error)
    return Installed(name, names, versions, entries[0].value, state, reason)


def _owner(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that an entry point came in."""
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("?", "?")


def _disabled() -> set[str]:
    return {n.strip() for n in os.environ.get("FLAMBEAU_DISABLE", "").split(",")}


def not_found(name: str, names: list[str]) -> RuntimeError:
    """The error that says which devices are installed, which was perhaps meant, and the pip line.

    Args:
        name: the device type that was asked for.
        names: the device types that are installed.
    """
    have = ", ".join(names) or "none"
    words = f"no backend for device {name!r} is installed; installed devices: {have}."
    if name == "cpu":
        return RuntimeError(
            f"{words} The CPU backend comes with flambeau, and flambeau's package metadata was not "
            "found: install it (pip install flambeau, or pip install -e . in a source tree)."
        )
    near = _nearest(name, {*names, *EXTRAS})
    wanted = name
    if near is not None and near != name:
        words += f" Did you mean {near!r}?"
        wanted = name if near in names and near not in EXTRAS else near
    return RuntimeError(f"{words} To install {wanted!r}: {pip_line(wanted)}")


def _nearest(name: str, names: set[str]) -> str | None:
    from difflib import get_close_matches

    by_lower = {n.lower(): n for n in sorted(names)}
    found = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def pip_line(name: str) -> str:
    """The command that installs the backend of a device type."""
    extra = EXTRAS.get(name)
    if extra is None:
        return (
            f"pip install flambeau-{name.lower().replace('_', '-')} "
            "(the name that a third-party package of this device would have)"
        )
    line = f'pip install "flambeau[{extra}]"'
    version = _version_without(extra)
    return line if version is None else f"{line} (from a later version: {version} lacks it)"


def _version_without(extra: str) -> str | None:
    """The version of flambeau, if it is installed and does not have an extra."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        facts = metadata("flambeau")
    except PackageNotFoundError:
        return None
    return None if extra in (facts.get_all("Provides-Extra") or []) else facts["Version"]
