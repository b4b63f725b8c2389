"""Cases: what the suite is made of, with or without pytest around it.

A *case* is one op at one dtype in one direction (or one question to the device): a pytest item.
It makes several *checks*, each with an id of its own and a result.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["passed", "failed", "expected", "skipped", "note"]


@dataclass(slots=True)
class Result:
    """What became of one check."""

    id: str
    status: Status
    seconds: float
    detail: str = ""
    missing: str = ""
    """The primitive that has no kernel, if that is why it failed."""


@dataclass(slots=True)
class Checks:
    """Runs the checks of a case and keeps their results; one that fails stops no other."""

    prefix: str
    """The case's id without its last part."""
    results: list[Result] = field(default_factory=list)
    context: str = ""
    """Inputs of the check that runs, told with a failure."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Run one check: whatever it raises is its failure."""
        from flambeau.errors import MissingKernelError, UnsupportedDtypeError

        start, self.context = time.perf_counter(), ""
        status: Status = "passed"
        detail = missing = ""
        try:
            yield
        except Skip as reason:
            status, detail = "skipped", str(reason)
        except UnsupportedDtypeError as error:
            # Some ops of real numbers go through complex ones, which few devices hold.
            lacks = error.dtype is not None and error.dtype.is_complex
            status = "skipped" if lacks else "failed"
            detail = f"the device holds no {error.dtype.name}" if lacks else (
                _words(error, self.context))
        except Exception as error:  # a failure is what is looked for here
            status, detail = "failed", _words(error, self.context)
            missing = error.op if isinstance(error, MissingKernelError) else ""
        seconds = time.perf_counter() - start
        self.results.append(Result(f"{self.prefix}/{name}", status, seconds, detail, missing))

    def note(self, name: str, words: str) -> None:
        """Say something that is no failure."""
        self.results.append(Result(f"{self.prefix}/{name}", "note", 0.0, words))


class Skip(Exception):
    """A check that does not apply, with the reason."""


def _words(error: Exception, context: str) -> str:
    from flambeau_conformance.compare import ConformanceFailure

    if isinstance(error, ConformanceFailure):
        told = str(error)
    else:
        told = f"{type(error).__name__}: {error}\n{_where(error)}"
    return f"{told}\n{context}".rstrip()


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return "\n".join(f"  {f.filename}:{f.lineno} in {f.name}" for f in frames)


@dataclass(frozen=True, slots=True)
class Case:
    """One item of the suite."""

    id: str
    run: Callable[[Checks], None]
    op: str = ""
    dtype: str = ""
    direction: Literal["", "forward", "gradient"] = ""

    @property
    def level(self) -> int:
        """The level that it belongs to."""
        return int(self.id[1])

    @property
    def prefix(self) -> str:
        """What its checks' ids begin with: its own without the direction."""
        return self.id.removesuffix(f"/{self.direction}") if self.direction else self.id

    def execute(self) -> list[Result]:
        """Run all checks."""
        checks = Checks(self.prefix)
        with checks("complete"):
            self.run(checks)
        if checks.results[-1].status == "passed":  # only there to catch what checks do not
            checks.results.pop()
        return checks.results
