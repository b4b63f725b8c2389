"""The suite finds what is wrong with a backend, at the check that names it, and little else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from mutants import MUTANTS, Mutant

from flambeau.plugins import register_backend
from flambeau_conformance import suite
from flambeau_conformance.case import Case, Result
from flambeau_conformance.config import Config

OPS = {
    "abs", "add", "argmax", "copies", "copy", "cumsum", "exp", "floor", "gather", "linear",
    "linear_grads", "log", "matmul", "maximum", "mul", "neg", "round_half_even",
    "scatter_add", "sin", "sort_stable", "sqrt", "sub", "sum", "tanh",
}  # fmt: skip
"""The ops that every mutant is asked about."""
DTYPES = {"", "float16", "float32", "int8"}


def chosen(case: Case, mutant: Mutant) -> bool:
    """A part of the suite, wide enough to see that nothing else fails."""
    if fnmatchcase(mutant.finds, f"{case.prefix}/*"):
        return True
    if case.op == "":
        return case.level != 4
    return case.op in OPS and case.dtype in DTYPES and not case.id.endswith("/property") and (
        case.dtype == "float32" or case.op in mutant.out or case.op in mutant.fresh
    )


def failures(mutant: Mutant, whole: bool = False) -> Iterator[Result]:
    backend = mutant.backend()
    register_backend(backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in suite.collect(Config(backend.name)):
            if chosen(case, mutant) or (whole and case.op in OPS and case.dtype in DTYPES):
                yield from (r for r in case.execute() if r.status == "failed")


@pytest.fixture(scope="module")
def of_healthy() -> set[str]:
    """What fails on the backend that the mutants are made of: it is another test's matter."""
    return {r.id for r in failures(Mutant("healthy", "L?/nothing", ()), whole=True)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mutant_fails_at_the_named_check_and_only_around_it(
    mutant: Mutant, of_healthy: set[str]
) -> None:
    failed = [r.id for r in failures(mutant) if r.id not in of_healthy]
    assert [i for i in failed if fnmatchcase(i, mutant.finds)], failed
    assert [i for i in failed if not any(fnmatchcase(i, g) for g in mutant.touches)] == []
