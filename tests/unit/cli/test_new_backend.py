"""``flambeau new-backend`` writes a project that installs, loads, and says what is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from flambeau import cli
from flambeau.backend import API, MissingKernelError
from flambeau.cli.needs import Needs, order
from flambeau.cli.new_backend import write_project
from flambeau.plugins import backend_for
from flambeau.registry import primitives


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "project"
    write_project("quick_brown", folder)
    return folder


@pytest.fixture
def backend(project: Path, fake_site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The backend of the project, loaded as if it were installed."""
    body = "from flambeau_quick_brown.plugin import *\n"
    fake_site.install("quick_brown", body, distribution="flambeau-quick-brown")
    monkeypatch.syspath_prepend(str(project))
    return backend_for("quick_brown")


def test_the_entry_point_is_named_after_the_device(project: Path) -> None:
    facts = tomllib.loads((project / "pyproject.toml").read_text())
    assert facts["project"]["name"] == "flambeau-quick-brown"
    points = facts["project"]["entry-points"]["flambeau.backends"]
    assert points == {"quick_brown": "flambeau_quick_brown.plugin"}
    assert (project / "flambeau_quick_brown" / "plugin.py").exists()


def test_no_placeholder_is_left(project: Path) -> None:
    left = {
        path.name: found
        for path in project.rglob("*")
        if path.is_file() and (found := re.findall(r"\$\w+|\.tmpl", path.read_text()))
    }
    assert left == {}


def test_the_expectations_are_valid_and_empty(project: Path) -> None:
    assert tomllib.loads((project / "flambeau-expect.toml").read_text()) == {}


def test_the_device_works_before_any_kernel_is_written(backend: Any) -> None:
    assert type(backend).__name__ == "QuickBrownBackend"
    assert backend.api == API
    buffer = backend.alloc(16, 0)
    backend.copy_in(buffer, 4, memoryview(b"abcdefgh"), 0)
    backend.copy_device(buffer, 12, buffer, 4, 4, 0)
    assert bytes(backend.copy_out(buffer, 4, 12, 0)) == b"abcdefghabcd"


def test_tensors_can_be_copied_there_and_back(backend: Any) -> None:
    import flambeau

    x = flambeau.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert x.to("quick_brown").cpu().tolist() == x.tolist()


def test_every_primitive_has_a_kernel_that_raises_and_names_itself(backend: Any) -> None:
    names = {op.name for op in primitives()}
    assert backend.kernels.names() == names
    for name, kernel in backend.kernels.out.items():
        with pytest.raises(MissingKernelError) as caught:
            kernel(*_arguments(kernel), **_keywords(kernel))
        assert (caught.value.op, caught.value.device) == (name, "quick_brown")


def _arguments(kernel: Any) -> list[None]:
    return [None] * kernel.__code__.co_argcount


def _keywords(kernel: Any) -> dict[str, None]:
    code = kernel.__code__
    return dict.fromkeys(
        code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    )


def test_an_op_on_the_device_says_which_kernel_is_missing(backend: Any) -> None:
    import flambeau

    x = flambeau.ones(2).to("quick_brown")
    with pytest.raises(MissingKernelError, match="'quick_brown' has no kernel"):
        x + x


def test_kernels_have_the_parameters_that_they_are_called_with(backend: Any) -> None:
    def parameters(name: str) -> tuple[str, ...]:
        code = backend.kernels.out[name].__code__
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    assert parameters("exp") == ("out", "input")
    assert parameters("mul") == ("out", "input", "other")
    assert parameters("sum") == ("out", "input", "dim", "keepdim")


def test_the_readme_orders_the_kernels(project: Path) -> None:
    text = (project / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    names = [row[0] for row in rows]
    assert sorted(names) == sorted(op.name for op in primitives())
    assert f"Start with `{names[0]}`" in text
    works = [int(row[2]) for row in rows]
    assert works == sorted(works)
    assert works[-1] > 1.5 * len(names)  # composites come for free
    assert sum(int(row[1]) for row in rows) == works[-1]


def test_the_tests_of_the_project_run(project: Path, backend: Any, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        f"import sys, pytest\nsys.path[:0] = {[str(project), str(tmp_path)]!r}\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', 'not conforms', "
        f"{str(project / 'tests')!r}]))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


# ---- the command -----------------------------------------------------------------------------
def test_the_command_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new-backend", "toy_new"]) == 0
    out = capsys.readouterr().out
    assert "pip install -e flambeau-toy-new" in out
    assert "flambeau conformance toy_new --level 0" in out
    assert (tmp_path / "flambeau-toy-new" / "pyproject.toml").exists()


def test_the_command_for_a_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "x"
    assert cli.main(["new-backend", "toyn", "--dir", str(folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["directory"] == str(folder)
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert set(facts["files"]) == written


@pytest.mark.parametrize(
    ("name", "words"),
    [("1a", "cannot name a device"), ("a-b", "cannot"), ("Toy", "lower-case"), ("class", "cannot"),
     ("cpu", "flambeau's own"), ("meta", "flambeau's own")],
)
def test_a_bad_name_is_refused(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["new-backend", name, "--dir", str(tmp_path / "x")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_folder_with_files_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert cli.main(["new-backend", "toyn", "--dir", str(tmp_path)]) == 2
    assert "--dir" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


# ---- which kernel next -----------------------------------------------------------------------
def test_the_next_kernel_is_the_one_that_makes_most_ops_work() -> None:
    needs = Needs(kernels={
        "exp": {"exp"}, "add": {"add"}, "mul": {"mul"},
        "square": {"mul"}, "sinh": {"exp", "add", "mul"}, "cube": {"mul"}, "view": set(),
    })
    steps = list(order(needs))
    assert [s.kernel for s in steps[:1]] == ["mul"]
    assert (steps[0].unlocks, steps[0].works) == (3, 3)
    found = {s.kernel: s for s in steps}
    assert found["add"].unlocks + found["exp"].unlocks == 3
    assert steps[-1].works == 6
