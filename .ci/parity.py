"""Ratchet on parity with torch: what passed torch's own test databases must go on passing.

    python .ci/parity.py OPINFO_DIR            # fail if a name of the list no longer passes
    python .ci/parity.py OPINFO_DIR --update   # write the list anew

OPINFO_DIR holds ``opinfo_check.py``, which runs torch's OpInfo, ModuleInfo and OptimizerInfo
databases against flambeau.  The list is ``tests/torch_parity/passing.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PASSING = Path(__file__).parent.parent / "tests" / "torch_parity" / "passing.json"
DATABASES = ("opinfo", "modules", "optimizers")


def main() -> int:
    """Run the databases and compare with the list; the exit status says whether it held."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("opinfo", type=Path)
    options.add_argument("--update", action="store_true")
    given = options.parse_args()
    results = measure(given.opinfo)
    passing = {db: sorted(n for n, s in results[db].items() if s == "pass") for db in DATABASES}
    crashes = [f"{db}: {n}" for db in DATABASES for n, s in results[db].items() if s == "crash"]
    if given.update:
        PASSING.write_text(json.dumps(passing, indent=1) + "\n")
    before = json.loads(PASSING.read_text()) if PASSING.exists() else {}
    lost = regressions(before, passing)
    for line in [f"no longer passes: {name}" for name in lost] + [f"crash: {c}" for c in crashes]:
        print(line)
    return 1 if lost or crashes else 0


def measure(opinfo: Path) -> dict[str, dict[str, str]]:
    """The status of each item, by database."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        script = opinfo / "opinfo_check.py"
        command = [sys.executable, script, "--module", "flambeau", "--db", "all", "--json", report]
        subprocess.run(command, check=True)
        whole = json.loads(report.read_text())
    return {db: {n: r["status"] for n, r in whole[db]["results"].items()} for db in DATABASES}


def regressions(before: dict[str, list[str]], now: dict[str, list[str]]) -> list[str]:
    """What stands in the first list and not in the second."""
    return [f"{db}: {n}" for db, names in before.items() for n in names if n not in now[db]]


if __name__ == "__main__":
    sys.exit(main())
