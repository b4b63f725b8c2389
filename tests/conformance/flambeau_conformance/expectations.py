"""What a device is known not to do: ``flambeau-expect.toml``.

```toml
[[expect]]
id = "L1/sort_stable/float16/*"     # a glob over the ids of cases and checks
kind = "unsupported"                # or "bug", or "future"
reason = "the device has no half-precision comparison"
```

``unsupported`` cases are not run.  A failure of what is a ``bug`` or ``future`` is expected.  An
entry that matches nothing is an error, and so is a ``bug`` of which everything passes: the list
cannot rot.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from flambeau_conformance.case import Case, Result

FILE: Final = "flambeau-expect.toml"
KINDS: Final = ("unsupported", "bug", "future")


@dataclass(slots=True)
class Entry:
    """One entry of the file, and what it has matched."""

    id: str
    kind: str
    reason: str
    matched: int = 0
    failed: int = 0

    def matches(self, id: str) -> bool:
        """Whether an id fits the glob."""
        return fnmatchcase(id, self.id)


@dataclass(slots=True)
class Expectations:
    """All entries of a file."""

    path: Path | None = None
    entries: list[Entry] = field(default_factory=list)

    def skips(self, case: Case) -> Entry | None:
        """The entry that says that a whole case is unsupported."""
        for entry in self.entries:
            if entry.kind == "unsupported" and entry.matches(case.id):
                entry.matched += 1
                entry.failed += 1
                return entry
        return None

    def apply(self, result: Result) -> None:
        """Mark a failure that is expected as such."""
        for entry in self.entries:
            if entry.matches(result.id):
                entry.matched += 1
                if result.status == "failed":
                    entry.failed += 1
                    result.status = "expected"
                    result.detail = f"{entry.kind}: {entry.reason}\n{result.detail}"
                    return

    def errors(self, level: int) -> Iterator[Result]:
        """Entries that are wrong, once all cases up to a level have run."""
        for entry in self.entries:
            if entry.id[:1] == "L" and entry.id[1:2].isdecimal() and int(entry.id[1]) > level:
                continue
            words = ""
            if not entry.matched:
                words = "matches no case and no check: correct the glob or delete the entry"
            elif entry.kind == "bug" and not entry.failed:
                words = "is listed as a bug, and everything it matches passes: delete the entry"
            if words:
                yield Result(f"expectations/{entry.id}", "failed", 0.0, f"{self.path}: {words}")


def load(path: Path) -> Expectations:
    """Read a file.

    Raises:
        ValueError: naming the file and the entry that is wrong.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    unknown = set(data) - {"expect"}
    if unknown:
        raise ValueError(f"{path}: unknown table {sorted(unknown)}; entries are [[expect]]")
    return Expectations(path, [_entry(path, e) for e in data.get("expect", [])])


def _entry(path: Path, given: dict[str, Any]) -> Entry:
    missing = {"id", "kind", "reason"} - set(given)
    if missing:
        raise ValueError(f"{path}: an entry lacks {sorted(missing)}: {given}")
    if given["kind"] not in KINDS:
        raise ValueError(
            f"{path}: kind {given['kind']!r} of {given['id']!r} must be one of {', '.join(KINDS)}"
        )
    if not given["reason"]:
        raise ValueError(f"{path}: {given['id']!r} needs a reason")
    return Entry(given["id"], given["kind"], given["reason"])


def find(named: Path | None, shipped: Path | None) -> Expectations:
    """The expectations to use: those named, else in the working directory, else the plugin's."""
    for path in (named, Path(FILE) if Path(FILE).is_file() else None, shipped):
        if path is not None:
            return load(path)
    return Expectations()
