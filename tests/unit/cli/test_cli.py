"""The command line: what it prints, what a machine reads, and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from flambeau import cli
from flambeau.backend import API

COMMANDS = ("devices", "doctor", "ckpt", "conformance", "new-backend", "version")


def run_json(capsys: Any, *arguments: str) -> tuple[int, Any]:
    status = cli.main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def entry(facts: list[dict[str, Any]], device: str) -> dict[str, Any]:
    [found] = [f for f in facts if f["device"] == device]
    return found


# ---- the program -----------------------------------------------------------------------------
def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert [c for c in COMMANDS if c not in out] == []


@pytest.mark.parametrize("arguments", [[], ["nosuch"], ["devices", "--nosuch"], ["new-backend"]])
def test_wrong_arguments_exit_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: flambeau" in capsys.readouterr().err


def test_the_module_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "flambeau.cli", "version", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["api"] == f"{API[0]}.{API[1]}"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    out = capsys.readouterr().out
    assert f"plugin API {API[0]}.{API[1]}" in out
    assert "NumPy" in out


# ---- devices ---------------------------------------------------------------------------------
def test_devices_lists_what_can_be_used_and_names_what_cannot(
    fake_site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_site.install("toya", version="3.1")
    fake_site.install("toyb", "raise OSError('no driver')")
    assert cli.main(["devices"]) == 0
    out, err = capsys.readouterr()
    [line] = [line for line in out.splitlines() if line.startswith("toya")]
    assert line.split() == [
        "toya:0", "a", "fake", "flambeau-toya", "3.1", "bool", "int64", "float32"
    ]
    assert "toyb" not in out
    assert "no driver" in err


def test_devices_for_a_machine(fake_site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_site.install("toya", fake_site.plugin.replace("return 1", "return 2").replace(
        "Capabilities()", "Capabilities(total_memory=1024)"
    ))
    fake_site.install("toyb", "raise OSError('no driver')")
    status, facts = run_json(capsys, "devices")
    assert status == 0
    assert entry(facts["devices"], "toya:1") == {
        "device": "toya:1", "info": {"name": "a fake"}, "memory": 1024,
        "dtypes": ["bool", "int64", "float32"], "distribution": "flambeau-toya", "version": "1.2",
    }
    broken = entry(facts["unavailable"], "toyb")
    assert broken["state"] == "broken"
    assert "no driver" in broken["error"]


def test_a_device_that_cannot_describe_itself_is_unavailable(
    fake_site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_site.install("toya", fake_site.plugin.replace('{"name": "a fake"}', "1 / 0"))
    status, facts = run_json(capsys, "devices")
    assert status == 0
    assert "ZeroDivisionError" in entry(facts["unavailable"], "toya")["error"]


def test_a_backend_that_could_be_installed_is_told_in_one_line(
    fake_site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # a distribution named flambeau: it hides the real one from this test
    fake_site.install("opencl", "import module_that_does_not_exist", distribution="flambeau")
    assert cli.main(["devices"]) == 0
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("opencl: not installed")
    assert 'pip install "flambeau[opencl]"' in line
    fake_site.install("toya")
    status, facts = run_json(capsys, "doctor")
    assert (status, facts["healthy"]) == (0, True)
    missing = entry(facts["backends"], "opencl")
    assert missing["state"] == "missing"
    assert "traceback" not in missing


# ---- doctor ----------------------------------------------------------------------------------
def test_doctor_finds_nothing_wrong(fake_site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_site.install("toya", fake_site.plugin + "FakeBackend.kernels.register('exp')(print)\n"
                              "FakeBackend.kernels.register('logical_not', 'nosuch')(print)\n")
    status, facts = run_json(capsys, "doctor")
    assert status == 0
    assert facts["healthy"] is True
    toy = entry(facts["backends"], "toya")
    assert toy["state"] == "ready"
    assert (toy["kernels"], toy["overrides"], toy["unknown"]) == (1, 1, ["nosuch"])
    assert "exp" not in toy["missing"]
    assert "add" in toy["missing"]
    assert toy["required"] == len(toy["missing"]) + 1
    cpu = entry(facts["backends"], "cpu")
    assert (cpu["missing"], cpu["unknown"]) == ([], [])


def test_doctor_shows_what_is_broken(
    fake_site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake_site.install("toya", "def fail():\n    raise OSError('no driver')\nfail()\n")
    monkeypatch.setenv("FLAMBEAU_DISABLE", "toyb")
    status, facts = run_json(capsys, "doctor")
    assert status == 1
    assert facts["healthy"] is False
    assert facts["environment"]["FLAMBEAU_DISABLE"] == "toyb"
    toy = entry(facts["backends"], "toya")
    assert (toy["state"], toy["phase"]) == ("broken", "import")
    assert f"{module}.py" in toy["traceback"]
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "in fail" in out
    assert "something is wrong" in out


def test_doctor_works_with_strict_plugins(
    fake_site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_site.install("toya", "1 / 0")
    monkeypatch.setenv("FLAMBEAU_STRICT_PLUGINS", "1")
    status, facts = run_json(capsys, "doctor")
    assert status == 1
    assert entry(facts["backends"], "toya")["phase"] == "import"


def test_doctor_finds_a_device_provided_twice(
    fake_site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_site.install("toya", distribution="flambeau-first")
    fake_site.install("toya", distribution="flambeau-second")
    status, facts = run_json(capsys, "doctor")
    assert status == 1
    toy = entry(facts["backends"], "toya")
    assert toy["state"] == "ambiguous"
    assert "flambeau-first 1.2 and flambeau-second 1.2" in toy["error"]


# ---- conformance -----------------------------------------------------------------------------
def test_conformance_hands_its_arguments_to_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    suite = type(sys)("flambeau_conformance")
    suite.cli = type(sys)("flambeau_conformance.cli")  # type: ignore[attr-defined]
    suite.cli.main = lambda argv: seen.append(argv) or 7
    monkeypatch.setitem(sys.modules, "flambeau_conformance", suite)
    arguments = ["--level", "2", "toya", "--json", "--help"]
    assert cli.main(["conformance", *arguments]) == 7
    assert seen == [arguments]


@pytest.mark.parametrize("missing", ["pytest", "flambeau_conformance"])
def test_conformance_names_the_extra_that_it_needs(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str, *rest: Any) -> Any:
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *rest)

    original = __import__
    monkeypatch.setattr("builtins.__import__", absent)
    assert cli.main(["conformance", "cpu"]) == 2
    err = capsys.readouterr().err
    assert missing in err
    assert 'pip install "flambeau[conformance]"' in err
