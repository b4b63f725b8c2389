"""The command as people and programs run it: from any folder, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flambeau_conformance import cli, diff


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flambeau.cli", "conformance", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_run_writes_its_report_page_and_badge(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('not mine')\n")
    done = run(tmp_path, "cpu", "--level", "0", "--report", "out/r.json", "--markdown", "r.md",
               "--badge", "b.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conforms at level 0" in done.stdout
    found = json.loads((tmp_path / "out" / "r.json").read_text())
    assert (found["conforms_at_level"], found["complete"]) == (0, True)
    assert found["backend"]["distribution"] == "flambeau" and found["plugin_api"] == [1, 0]
    assert found["results"]["L0/memory/offsets"]["status"] == "passed"
    assert found["matrix"]["copies"]["float32"] == {"forward": "passed"}
    page = (tmp_path / "r.md").read_text()
    assert "| `copies` | ✓· |" in page and "Conforms at level **0** of 0" in page
    badge = json.loads((tmp_path / "b.json").read_text())
    assert (badge["schemaVersion"], badge["color"]) == (1, "brightgreen")
    assert badge["message"] == "L0 · 12/12"


def test_json_is_all_that_is_printed(tmp_path: Path) -> None:
    done = run(tmp_path, "cpu", "--level", "1", "-k", "L1/add/int64/forward", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["complete"] is False
    assert "L1/add/int64/same/forward" in found["results"]


def test_a_failure_is_told_and_gives_status_1(tmp_path: Path) -> None:
    (tmp_path / "flambeau-expect.toml").write_text(
        '[[expect]]\nid = "L0/memory/*"\nkind = "bug"\nreason = "none"\n')
    done = run(tmp_path, "cpu", "--level", "0")
    assert done.returncode == 1
    assert "FAILED expectations/L0/memory/*" in done.stdout


@pytest.mark.parametrize(("arguments", "words"), [
    (("nosuch",), "pip install"),
    (("cpu", "--expect", "nowhere.toml"), "nowhere.toml"),
    (("cpu", "--level", "9"), "invalid choice"),
    ((), "DEVICE"),
])
def test_wrong_arguments_give_status_2_and_say_why(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


# ---- diff ----------------------------------------------------------------------------------------
def report(**statuses: str) -> dict[str, Any]:
    return {"results": {name: {"status": status} for name, status in statuses.items()}}


def test_diff_tells_what_broke_and_what_was_mended() -> None:
    before = report(a="passed", b="failed", c="passed", d="expected", f="passed")
    after = report(a="failed", b="passed", c="passed", d="passed", e="failed", g="passed")
    assert diff.compare(before, after) == {
        "broken": ["a", "e"], "mended": ["b"], "changed": ["d: expected -> passed"],
        "added": ["g"], "removed": ["f"],
    }


def test_diff_fails_if_something_broke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, status in zip(paths, ("passed", "failed"), strict=True):
        path.write_text(json.dumps(report(x=status)))
    assert cli.main(["diff", *map(str, paths)]) == 1
    assert "broken x" in capsys.readouterr().out
    assert cli.main(["diff", str(paths[1]), str(paths[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mended"] == ["x"]


def test_diff_refuses_what_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("[]")
    assert cli.main(["diff", str(tmp_path / "a.json"), str(tmp_path / "none.json")]) == 2
    assert "no conformance report" in capsys.readouterr().err
