"""``python -m flambeau.as_torch script.py ARGS...`` and ``... -m module ARGS...``."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from flambeau import as_torch


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flambeau.as_torch",
        description="Run a program that was written for PyTorch on flambeau.")
    parser.add_argument("--device", help="where new tensors are made if none is named")
    parser.add_argument(
        "--map", action="append", default=[], metavar="ASKED=GIVEN",
        help="give a program the right device when it asks for the left one: cuda=opencl")
    parser.add_argument("-m", dest="module", action="store_true", help="run a module by name")
    parser.add_argument("program", help="a script, or with -m a module")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="what it gets on its command line")
    return parser


def main(arguments: list[str]) -> None:
    """Run the program named on the command line as ``__main__``."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        pairs = as_torch.read_map(",".join(options.map), "--map")
    except ValueError as error:
        parser.error(str(error))
    as_torch.install(options.device, pairs or None)
    sys.argv = [options.program, *options.args]
    if options.module:
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(options.program).resolve().parent))
        runpy.run_path(options.program, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
