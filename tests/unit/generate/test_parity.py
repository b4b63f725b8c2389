"""The page on parity counts what is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from generate import parity
from generate.__main__ import ROOT

KNOWN = json.loads((parity.DATA / "names.json").read_text())


def test_page_is_up_to_date() -> None:
    code = "from generate import parity; print(parity.page(), end='')"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert (ROOT / "docs" / "parity.md").read_text() == found.stdout, "run `python -m generate`"


def test_missing_names_are_found() -> None:
    assert parity.missing("torch", ["add", "no_such_name"]) == ["no_such_name"]
    assert parity.missing("torch.no_such_space", ["a", "b"]) == ["a", "b"]
    assert parity.missing("torch.Tensor", ["add_", "no_such_name"]) == ["no_such_name"]
    assert parity.missing("torch.utils.data", ["DataLoader"]) == []


def test_what_passes_is_in_the_databases() -> None:
    passing = json.loads((parity.DATA / "passing.json").read_text())
    for base, names in KNOWN["databases"].items():
        assert set(passing[base]) <= set(names)


def test_names_are_those_of_the_installed_torch() -> None:
    torch = pytest.importorskip("torch")
    if torch.__version__.partition("+")[0] != KNOWN["torch"].partition("+")[0]:
        pytest.skip("names.json is of another version")
    assert [n for n in KNOWN["names"]["torch"] if not hasattr(torch, n)] == []
    assert [n for n in KNOWN["names"]["torch.Tensor"] if not hasattr(torch.Tensor, n)] == []
