"""``flambeau conformance diff a.json b.json``: what changed between two reports."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

BAD = ("failed",)


def main(argv: list[str]) -> int:
    """Print the differences; status 1 if something that passed in A fails in B, 2 if unreadable."""
    parser = argparse.ArgumentParser(
        prog="flambeau conformance diff", description="Compare two reports."
    )
    parser.add_argument("before", type=Path, metavar="A.json")
    parser.add_argument("after", type=Path, metavar="B.json")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    try:
        found = compare(_read(options.before), _read(options.after))
    except (OSError, ValueError) as error:
        print(f"flambeau conformance diff: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found) if options.json else "\n".join(words(found)))
    return 1 if found["broken"] else 0


def _read(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or "results" not in data:
        raise ValueError(f"{path} is no conformance report")
    return data


def compare(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    """Ids of checks that broke, were mended, came, went, or otherwise changed status."""
    old = {i: r["status"] for i, r in before["results"].items()}
    new = {i: r["status"] for i, r in after["results"].items()}
    both = [i for i in old if i in new and old[i] != new[i]]
    return {
        "broken": [i for i in both if new[i] in BAD]
        + [i for i in new if i not in old and new[i] in BAD],
        "mended": [i for i in both if old[i] in BAD],
        "changed": [
            f"{i}: {old[i]} -> {new[i]}" for i in both if old[i] not in BAD and new[i] not in BAD
        ],
        "added": [i for i in new if i not in old and new[i] not in BAD],
        "removed": [i for i in old if i not in new],
    }


def words(found: dict[str, list[str]]) -> list[str]:
    """The differences in lines; of what was added and removed only the numbers."""
    lines = []
    for kind in ("broken", "mended", "changed"):
        lines += [f"{kind} {each}" for each in found[kind]]
    counts = ", ".join(f"{len(found[kind])} {kind}" for kind in found)
    return [*lines, counts]
