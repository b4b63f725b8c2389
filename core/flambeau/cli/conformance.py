"""``flambeau conformance DEVICE``: run the conformance suite, a package of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

NEEDS = ("flambeau_conformance", "hypothesis", "pytest")
INSTALL = 'the conformance suite needs {missing}: pip install "flambeau[conformance]"'


def add_to(commands: Any) -> None:
    """Add the command to a parser, for the list of commands: the suite parses its own options."""
    commands.add_parser(
        "conformance", help="prove a backend: run the conformance suite on a device"
    )


def run(arguments: Sequence[str]) -> int:
    """Hand the arguments to the suite."""
    try:
        import pytest  # noqa: F401  the suite is made of its tests

        from flambeau_conformance import cli
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in NEEDS:
            raise
        print(f"flambeau conformance: {INSTALL.format(missing=error.name)}", file=sys.stderr)
        return 2
    status: int = cli.main(list(arguments))
    return status
