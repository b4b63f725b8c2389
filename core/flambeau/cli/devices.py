"""``flambeau devices``: the devices that can be used, and the backends that cannot."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from flambeau.cli.output import human_bytes, print_json, table


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("devices", help="list the devices of all installed backends")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the devices; backends that cannot be used go to the standard error stream."""
    found, failed = survey()
    if options.json:
        print_json({"devices": found, "unavailable": failed})
        return 0
    print(table(("DEVICE", "NAME", "MEMORY", "BACKEND", "DTYPES"), [_row(d) for d in found]))
    for each in failed:
        print(f"\n{each['device']}: {_reason(each)}", file=sys.stderr)
    return 0


def _reason(failed: dict[str, Any]) -> str:
    from flambeau.discovery import pip_line

    if failed["state"] == "missing":  # nothing is wrong: whoever wants it can have it
        return f"not installed; to use it: {pip_line(failed['device'])}"
    reason: str = failed["error"]
    return reason


def survey() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Facts on all devices, and on the backends that cannot be used and why."""
    from flambeau.plugins import load_all

    found: list[dict[str, Any]] = []
    failed = []
    for record in load_all():
        owner = {"distribution": record.distribution, "version": record.version}
        if record.error is not None:
            failed.append(
                {"device": record.name, "state": record.state, "error": str(record.error), **owner}
            )
            continue
        try:
            found += [{**facts, **owner} for facts in _devices_of(record.name)]
        except Exception as error:  # a plugin may raise anything
            words = f"{type(error).__name__}: {error}"
            failed.append({"device": record.name, "state": "broken", "error": words, **owner})
    return found, failed


def _devices_of(name: str) -> list[dict[str, Any]]:
    from flambeau.plugins import backend_for

    backend = backend_for(name)
    facts = []
    for index in range(backend.device_count()):
        capabilities = backend.capabilities(index)
        facts.append(
            {
                "device": f"{name}:{index}",
                "info": backend.device_info(index),
                "memory": capabilities.total_memory,
                "dtypes": [d.name for d in sorted(capabilities.dtypes, key=lambda d: d.index)],
            }
        )
    return facts


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    owner = f"{facts['distribution']} {facts['version']}".strip() or "this process"
    memory = "" if facts["memory"] is None else human_bytes(facts["memory"])
    name = facts["info"].get("name", "")
    return (facts["device"], name, memory, owner, " ".join(facts["dtypes"]))
