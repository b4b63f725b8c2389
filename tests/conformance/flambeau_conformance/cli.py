"""``flambeau conformance DEVICE`` and ``flambeau conformance diff A B``."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

EPILOG = """exit status: 0 when the device conforms, 1 when it does not, 2 for wrong arguments"""


def main(argv: list[str]) -> int:
    """Run one command; returns the exit status."""
    if argv[:1] == ["diff"]:
        from flambeau_conformance import diff

        return diff.main(argv[1:])
    options = _parser().parse_args(argv)
    if not options.json:
        return _run(options)
    with redirect_stdout(sys.stderr):  # standard output is for the report alone
        status = _run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    from flambeau_conformance.plugin import add_options

    parser = argparse.ArgumentParser(
        prog="flambeau conformance", epilog=EPILOG,
        description="Prove a backend: run the conformance suite on a device. "
        "`flambeau conformance diff A.json B.json` compares two reports.",
    )
    parser.add_argument("device", metavar="DEVICE", help="the device to test, such as opencl:1")
    add_options(parser.add_argument)
    parser.add_argument("-k", metavar="EXPR", default="", help="only cases whose ids match")
    parser.add_argument("-x", action="store_true", help="stop at the first case that fails")
    parser.add_argument("--json", action="store_true", help="print the JSON report")
    return parser


def _run(options: argparse.Namespace) -> int:
    import pytest

    status = pytest.main(_pytest_arguments(options), plugins=[_Printer(options.json)])
    return {0: 0, 1: 1}.get(int(status), 2)


class _Printer:
    """Prints the JSON report, if that is asked for."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted

    def pytest_configure(self, config: Any) -> None:
        config.option.json = self.wanted


def _pytest_arguments(options: argparse.Namespace) -> list[str]:
    here = Path(__file__).parent
    arguments = [
        str(here / "test_conformance.py"), "-c", str(here / "pytest.ini"), "--rootdir", str(here),
        "-p", "flambeau_conformance.plugin", "-p", "no:cacheprovider", "-qq", "--no-header",
        "--tb=no", "-rN", "-W", "ignore", "--device", options.device, "--seed", str(options.seed),
    ]
    for name in ("level", "report", "expect", "markdown", "badge"):
        value = getattr(options, name)
        if value is not None:
            arguments += [f"--{name}", str(value)]
    arguments += [f"--{name}" for name in ("deep", "matrix") if getattr(options, name)]
    arguments += ["-k", options.k] if options.k else []
    return [*arguments, "-x"] if options.x else arguments
