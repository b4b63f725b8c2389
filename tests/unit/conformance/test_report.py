"""The report, and the advice to who writes a backend."""

from __future__ import annotations

import warnings
from fnmatch import fnmatchcase

from mutants import Mutant, missing

from flambeau.plugins import register_backend
from flambeau_conformance import output, suite
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.config import Config
from flambeau_conformance.report import conforms_at, matrix, next_kernels, report
from flambeau_conformance.session import Session


def ran(device: str, pattern: str, level: int = 3) -> Session:
    run = Session(Config(device, level=level))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in suite.collect(run.config):
            if fnmatchcase(case.id, pattern):
                run.execute(case)
    return run


def test_a_kernel_that_is_missing_is_the_next_to_write() -> None:
    mutant = Mutant("without_tanh", "", (), {"tanh": missing})
    register_backend(mutant.backend())
    run = ran("mutant_without_tanh", "L1/tanh/float32/forward")
    [step] = next_kernels(run)
    assert step["kernel"] == "tanh" and step["unlocks"] >= 1
    assert any("write the kernel 'tanh'" in line for line in output.terminal(run))


def test_a_cell_of_the_matrix_shows_the_worst_of_its_checks() -> None:
    def half(check: Checks) -> None:
        with check("a/forward"):
            pass
        with check("b/forward"):
            raise ValueError

    def fine(check: Checks) -> None:
        with check("a/gradient"):
            pass

    run = Session(Config("cpu", level=2))
    run.execute(Case("L1/x/float32/forward", half, "x", "float32", "forward"))
    run.execute(Case("L2/x/float32/gradient", fine, "x", "float32", "gradient"))
    assert matrix(run) == {"x": {"float32": {"forward": "failed", "gradient": "passed"}}}
    assert conforms_at(run) == 0
    lines = list(output.terminal(run))
    assert any(line.split() == ["x", "✗✓"] for line in lines)
    assert "does not conform at level 1" in lines[-1]


def test_ops_that_pass_take_one_line() -> None:
    run = ran("cpu", "L1/mul/int*/forward")
    lines = list(output.terminal(run))
    assert lines[0] == "1 ops pass at every dtype (i8, i16, i32, i64)"
    assert any(line.startswith("mul") for line in output.terminal(run, show_all=True))


def test_the_report_says_what_ran_where() -> None:
    found = report(ran("cpu", "L1/mul/int8/forward", level=1))
    assert found["backend"]["device"] == "cpu"
    assert "float32" in found["backend"]["capabilities"]["dtypes"]
    assert (found["fallbacks"], found["seed"], found["level"]) == (0, 0, 1)
    assert found["summary"]["L1"]["passed"] > 20
