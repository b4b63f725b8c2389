"""The list of what a device does not do cannot rot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flambeau_conformance.case import Case, Checks, Result
from flambeau_conformance.config import Config
from flambeau_conformance.expectations import Expectations, find, load
from flambeau_conformance.plugin import make_session
from flambeau_conformance.session import Session


def written(folder: Path, *entries: tuple[str, str]) -> Path:
    path = folder / "flambeau-expect.toml"
    path.write_text("".join(
        f'[[expect]]\nid = "{glob}"\nkind = "{kind}"\nreason = "known"\n' for glob, kind in entries
    ))
    return path


def fails(check: Checks) -> None:
    with check("2d/forward"):
        raise ValueError("wrong")


def passes(check: Checks) -> None:
    with check("2d/forward"):
        pass


def session(expectations: Expectations, *cases: Case, level: int = 5) -> Session:
    run = Session(Config("cpu", level=level), expectations)
    for case in cases:
        run.execute(case)
    run.finish()
    return run


BAD = Case("L1/sort/float16/forward", fails, "sort", "float16", "forward")
GOOD = Case("L1/sort/float16/forward", passes, "sort", "float16", "forward")


@pytest.mark.parametrize("kind", ["bug", "future"])
def test_a_failure_that_is_listed_is_expected(tmp_path: Path, kind: str) -> None:
    run = session(load(written(tmp_path, ("L1/sort/float16/*", kind))), BAD)
    [result] = run.all_results
    assert (result.status, run.failures) == ("expected", [])
    assert f"{kind}: known" in result.detail and "ValueError: wrong" in result.detail


def test_a_failure_that_is_not_listed_fails(tmp_path: Path) -> None:
    run = session(load(written(tmp_path, ("L1/sort/float16/1d/*", "bug"))), BAD)
    assert [r.id for r in run.failures] == [
        "L1/sort/float16/2d/forward", "expectations/L1/sort/float16/1d/*"]


def test_an_unsupported_case_is_not_run(tmp_path: Path) -> None:
    def explodes(check: Checks) -> None:
        raise AssertionError("it ran")

    case = Case("L1/sort/float16/forward", explodes, "sort", "float16", "forward")
    run = session(load(written(tmp_path, ("L1/sort/float16/*", "unsupported"))), case)
    assert [(r.id, r.status) for r in run.all_results] == [(case.id, "skipped")]


def test_a_bug_that_passes_is_an_error(tmp_path: Path) -> None:
    run = session(load(written(tmp_path, ("L1/sort/*", "bug"))), GOOD)
    [error] = run.failures
    assert error.id == "expectations/L1/sort/*"
    assert "listed as a bug, and everything it matches passes" in error.detail


def test_what_is_due_in_future_may_already_pass(tmp_path: Path) -> None:
    assert session(load(written(tmp_path, ("L1/sort/*", "future"))), GOOD).failures == []


def test_an_entry_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    run = session(load(written(tmp_path, ("L1/srot/*", "bug"))), GOOD)
    assert ["matches no case" in r.detail for r in run.failures] == [True]


def test_entries_of_levels_that_did_not_run_are_not_judged(tmp_path: Path) -> None:
    entries = load(written(tmp_path, ("L4/cnn/*", "bug")))
    assert session(entries, GOOD, level=1).failures == []


def test_entries_are_not_judged_when_a_part_was_chosen(tmp_path: Path) -> None:
    run = Session(Config("cpu"), load(written(tmp_path, ("L1/srot/*", "bug"))), is_complete=False)
    run.finish()
    assert run.failures == []


@pytest.mark.parametrize(("text", "words"), [
    ("[[expect]]\nid = 'x'\nkind = 'bug'\n", "lacks .'reason'."),
    ("[[expect]]\nid = 'x'\nkind = 'odd'\nreason = 'r'\n", "'odd' of 'x' must be one of unsup"),
    ("[[expect]]\nid = 'x'\nkind = 'bug'\nreason = ''\n", "needs a reason"),
    ("[[except]]\nid = 'x'\n", "unknown table .'except'."),
    ("[[expect", "flambeau-expect.toml: "),
])
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "flambeau-expect.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load(path)


def test_the_file_named_goes_before_the_folder_s_and_that_before_the_plugin_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("named", "here", "shipped")]
    for folder in folders:
        folder.mkdir()
    named, here, shipped = (written(f, (f.name, "bug")) for f in folders)
    monkeypatch.chdir(here.parent)
    assert find(named, shipped).entries[0].id == "named"
    assert find(None, shipped).entries[0].id == "here"
    monkeypatch.chdir(tmp_path)
    assert find(None, shipped).entries[0].id == "shipped"
    assert find(None, None).entries == []


def test_results_are_matched_by_check_and_not_only_by_case(tmp_path: Path) -> None:
    expectations = load(written(tmp_path, ("*/strided/*", "bug")))
    result = Result("L1/exp/float32/strided/forward", "failed", 0.0)
    expectations.apply(result)
    assert result.status == "expected"


def test_a_plugin_ships_its_expectations_and_its_level_through_the_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_site: Any
) -> None:
    path = written(tmp_path, ("L1/sort/*", "future"))
    fake_site.install("hooked", fake_site.plugin + f"""
@hookimpl
def flambeau_conformance(config):
    from pathlib import Path
    config.expectations, config.level = Path({str(path)!r}), 1
""")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    option = SimpleNamespace(device="hooked", seed=3, deep=False, level=None, expect=None)
    run = make_session(option)
    assert (run.config.level, run.config.seed) == (1, 3)
    assert [e.id for e in run.expectations.entries] == ["L1/sort/*"]
    option.level = 4
    assert make_session(option).config.level == 4
