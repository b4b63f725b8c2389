"""All cases of a run, and a runner that needs no pytest."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from flambeau_conformance import oracle
from flambeau_conformance.case import Case, Result
from flambeau_conformance.config import Config
from flambeau_conformance.levels import level0, level1, level2, level3, level4, level5

LEVELS = (level0, level1, level2, level3, level4, level5)


def collect(config: Config) -> Iterator[Case]:
    """The cases of a device up to the level asked for, in order."""
    oracle.register()
    for level in LEVELS[: config.level + 1]:
        yield from level.cases(config)


def run(config: Config, pattern: str = "*") -> list[Result]:
    """Run the cases whose id matches a glob; the results of all their checks."""
    chosen = (case for case in collect(config) if fnmatchcase(case.id, pattern))
    return [result for case in chosen for result in case.execute()]
