"""``python -m flambeau.compile_core``."""

from __future__ import annotations

import argparse
import shutil

from flambeau import compiled
from flambeau.compile_core.build import build


def main() -> None:
    """Build the compiled core, or remove it."""
    parser = argparse.ArgumentParser(
        prog="python -m flambeau.compile_core",
        description="Compile the core of the installed flambeau; `flambeau doctor` says what is "
        "used.")
    parser.add_argument("--clean", action="store_true", help="remove what was built")
    if parser.parse_args().clean:
        shutil.rmtree(compiled.PACKAGE / "__compiled__", ignore_errors=True)
        return
    build()


main()
