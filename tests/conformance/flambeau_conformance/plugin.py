"""The pytest plugin: options, the cases as parameters, the report at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flambeau_conformance import expectations, output, suite
from flambeau_conformance.case import Case
from flambeau_conformance.config import TOP_LEVEL, Config
from flambeau_conformance.session import Session

KEY = pytest.StashKey[Session]()


def add_options(add: Any) -> None:
    """The options that the command line and the plugin have in common."""
    add("--level", type=int, default=None, choices=range(TOP_LEVEL + 1), metavar="N",
        help=f"run levels 0 to N only (default {TOP_LEVEL}: all)")
    add("--seed", type=int, default=0, help="seed of the inputs (default 0)")
    add("--deep", action="store_true", help="many more generated cases")
    add("--report", type=Path, metavar="FILE", help="write a JSON report")
    add("--expect", type=Path, metavar="FILE",
        help=f"what the device is known not to do (default ./{expectations.FILE})")
    add("--markdown", type=Path, metavar="FILE", help="write a Markdown page")
    add("--badge", type=Path, metavar="FILE", help="write a shields.io endpoint badge")
    add("--matrix", action="store_true", help="show all ops in the matrix, not only failing ones")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options."""
    group = parser.getgroup("flambeau")
    group.addoption("--device", default="cpu", help="the device to test, such as opencl:1")
    add_options(group.addoption)


def pytest_configure(config: pytest.Config) -> None:
    """Load the backend and say what the run is about."""
    option = config.option
    try:
        config.stash[KEY] = make_session(option)
    except (ValueError, RuntimeError, OSError) as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[KEY].is_complete = not option.keyword


def make_session(option: Any) -> Session:
    """The run that options describe.

    Raises:
        RuntimeError: for a device that is not there.
        ValueError: for an expectations file that cannot be read.
    """
    from flambeau import fallback
    from flambeau.device import device
    from flambeau.plugins import configure_conformance

    run = Config(option.device, seed=option.seed)
    run.deep = run.deep or option.deep
    configure_conformance(device(option.device).type, run)
    if option.level is not None:
        run.level = option.level
    fallback.reset_counts()
    _ = run.place  # names what is wrong with the device before any case does
    return Session(run, expectations.find(option.expect, run.expectations))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every case is a parameter."""
    if "case" in metafunc.fixturenames:
        cases = list(suite.collect(metafunc.config.stash[KEY].config))
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


@pytest.fixture(scope="session")
def conformance_session(request: pytest.FixtureRequest) -> Session:
    """The run."""
    return request.config.stash[KEY]


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """No letter per case: the matrix says it better."""
    return (report.outcome, "", "") if report.when == "call" else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write what was asked for; an expectation that is out of date fails the run."""
    if session.config.option.collectonly or exitstatus not in (0, 1):
        return
    run = session.config.stash[KEY]
    run.finish()
    if run.errors:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    output.write_files(run, session.config.option)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The matrix, the failures, and what to do next."""
    run = config.stash[KEY]
    if run.cases and not getattr(config.option, "json", False):
        for line in output.terminal(run, show_all=config.option.matrix):
            terminalreporter.write_line(line)


__all__ = ["Case", "add_options", "make_session"]
