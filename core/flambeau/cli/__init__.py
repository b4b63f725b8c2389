"""The command line: ``flambeau devices | doctor | ckpt | conformance | new-backend | version``.

Exit status: 0 when all is well, 1 when a command found something wrong, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from flambeau.cli import ckpt, conformance, devices, doctor, new_backend, version

COMMANDS = (devices, doctor, ckpt, conformance, new_backend, version)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; those of the process by default.

    Returns:
        The exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["conformance"]:  # argparse would take the suite's own options apart
        return conformance.run(arguments[1:])
    options = parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def parser() -> argparse.ArgumentParser:
    """The argument parser with all commands."""
    whole = argparse.ArgumentParser(
        prog="flambeau", description="Devices, their health, and how to write and prove a backend."
    )
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return whole
