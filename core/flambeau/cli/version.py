"""``flambeau version``: versions of flambeau, its plugin API, and what it runs on."""

from __future__ import annotations

import argparse
from typing import Any


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("version", help="print versions")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the versions."""
    from flambeau.cli.output import print_json

    facts = versions()
    if options.json:
        print_json(facts)
    else:
        print(f"flambeau {facts['flambeau']} (plugin API {facts['api']})")
        print(f"Python {facts['python']}, NumPy {facts['numpy']}, pluggy {facts['pluggy']}")
    return 0


def versions() -> dict[str, str]:
    """Versions by name; "not installed" where package metadata has none."""
    import platform

    from flambeau.backend import API

    return {
        "flambeau": version_of("flambeau"),
        "api": f"{API[0]}.{API[1]}",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": version_of("numpy"),
        "pluggy": version_of("pluggy"),
        "ml_dtypes": version_of("ml_dtypes"),
    }


def version_of(distribution: str) -> str:
    """The installed version of a distribution, or "not installed"."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
