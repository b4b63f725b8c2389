"""``flambeau doctor``: what is installed, what is broken and why, with tracebacks."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from flambeau.cli.output import print_json

if TYPE_CHECKING:
    from flambeau.discovery import Installed


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("doctor", help="say what is installed, what is broken, and why")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the findings.

    Returns:
        1 if a backend is broken or provided twice, or none can be used; else 0.
    """
    facts = examine()
    if options.json:
        print_json(facts)
    else:
        _print(facts)
    return 0 if facts["healthy"] else 1


def examine() -> dict[str, Any]:
    """Versions, environment variables and the state of every backend."""
    from flambeau import compiled
    from flambeau.cli.version import versions
    from flambeau.plugins import load_all

    backends = [_backend(record) for record in load_all()]
    states = [b["state"] for b in backends]
    return {
        "versions": versions(),
        "compiled core": compiled.STATE,
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith("FLAMBEAU_")},
        "backends": backends,
        "healthy": "ready" in states and not {"broken", "ambiguous"} & set(states),
    }


def _backend(record: Installed) -> dict[str, Any]:
    from flambeau.plugins import BackendUnavailable

    facts: dict[str, Any] = {
        "device": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "entry_point": record.entry_point,
        "state": record.state,
    }
    if record.error is not None:
        facts["error"] = str(record.error)
    if isinstance(record.error, BackendUnavailable) and record.state != "missing":
        import traceback

        facts["phase"] = record.error.phase
        facts["traceback"] = "".join(traceback.format_exception(record.error.cause))
    if record.state == "ready":
        facts |= _kernels(record.name)
    return facts


def _kernels(name: str) -> dict[str, Any]:
    """How complete the table of kernels is."""
    from flambeau.plugins import backend_for
    from flambeau.registry import all_ops, primitives

    backend = backend_for(name)
    have = backend.kernels.names()
    required = {op.name for op in primitives()}
    known = {op.name for op in all_ops()}
    return {
        "api": ".".join(map(str, backend.api)),
        "devices": backend.device_count(),
        "kernels": len(have & required),
        "required": len(required),
        "missing": sorted(required - have),
        "overrides": len(have & known - required),
        "unknown": sorted(have - known),
        "diagnostics": backend.diagnostics(),
    }


def _print(facts: dict[str, Any]) -> None:
    for name, version in facts["versions"].items():
        print(f"{name:10} {version}")
    print(f"compiled core: {facts['compiled core']}")
    for name, value in facts["environment"].items():
        print(f"{name}={value}")
    for backend in facts["backends"]:
        _print_backend(backend)
    print("\nall is well" if facts["healthy"] else "\nsomething is wrong: see above")


def _print_backend(facts: dict[str, Any]) -> None:
    owner = f"{facts['distribution']} {facts['version']}".strip() or "registered in this process"
    print(f"\n{facts['device']}: {facts['state']} ({owner}, {facts['entry_point']})")
    if facts["state"] == "ready":
        print(
            f"  plugin API {facts['api']}, {facts['devices']} device(s), "
            f"{facts['kernels']} of {facts['required']} required kernels, "
            f"{facts['overrides']} overrides of composites"
        )
        if facts["missing"]:
            print(f"  missing kernels: {', '.join(facts['missing'])}")
        if facts["unknown"]:
            print(f"  kernels of ops that do not exist: {', '.join(facts['unknown'])}")
        for line in facts["diagnostics"]:
            print(f"  {line}")
    if "error" in facts:
        print(f"  {facts['error']}")
    if "traceback" in facts:
        print("  " + facts["traceback"].rstrip().replace("\n", "\n  "))
