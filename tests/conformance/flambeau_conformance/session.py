"""One run: executes cases, applies expectations, keeps the results."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from flambeau_conformance.case import Case, Result
from flambeau_conformance.config import Config
from flambeau_conformance.expectations import Expectations


@dataclass(slots=True)
class Session:
    """The state of a run."""

    config: Config
    expectations: Expectations = field(default_factory=Expectations)
    is_complete: bool = True
    """Whether all cases up to the level are run: only then can entries be found unused."""
    cases: list[Case] = field(default_factory=list)
    results: dict[str, list[Result]] = field(default_factory=dict)
    """By case."""
    errors: list[Result] = field(default_factory=list)
    """Errors of the expectations."""
    started: float = field(default_factory=time.perf_counter)

    def execute(self, case: Case) -> list[Result]:
        """Run a case; what failed and was not expected to."""
        self.cases.append(case)
        entry = self.expectations.skips(case)
        if entry is not None:
            words = f"{entry.kind}: {entry.reason}"
            self.results[case.id] = [Result(case.id, "skipped", 0.0, words)]
            return []
        found = case.execute()
        for result in found:
            self.expectations.apply(result)
        self.results[case.id] = found
        return [r for r in found if r.status == "failed"]

    def finish(self) -> None:
        """Look for entries that are out of date."""
        if self.is_complete:
            self.errors = list(self.expectations.errors(self.config.level))

    @property
    def all_results(self) -> list[Result]:
        """Every check's result, and the errors of the expectations."""
        return [r for found in self.results.values() for r in found] + self.errors

    @property
    def failures(self) -> list[Result]:
        """What failed."""
        return [r for r in self.all_results if r.status == "failed"]
