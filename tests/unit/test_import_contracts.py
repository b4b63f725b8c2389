"""Who may import whom: the core knows no backend, and a backend knows only the plugin API.

Read from the source, so that imports inside functions count too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "flambeau"
BACKENDS = sorted(p.parent for p in (ROOT / "backends").glob("*/flambeau_*/__init__.py"))
NOT_IN_CORE = {"cupy", "pyopencl", "torch", "flambeau_cpu", "flambeau_cuda", "flambeau_opencl"}
EAGER = {"numpy", "flambeau"}
"""What the core may import at module level, beside the standard library."""
LAZY_STANDARD = {"importlib.metadata", "multiprocessing", "urllib.request", "http.client", "ssl"}
"""Standard modules too heavy for ``import flambeau``."""


@cache
def imports(path: Path) -> list[tuple[str, int, bool]]:
    """Module name, line, and whether it happens when the file is imported."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    deferred = {id(n) for outer in ast.walk(tree) if _is_deferred(outer) for n in ast.walk(outer)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node.lineno, id(node) not in deferred


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = path.parents[node.level - 1]
    root = next(p for p in path.parents if not (p.parent / "__init__.py").exists())
    return ".".join([*package.relative_to(root.parent).parts, *filter(None, [node.module])])


def _is_deferred(node: ast.AST) -> bool:
    """Whether what stands in a node does not run when its file is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return True
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def sources(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "templates" not in p.parts)


def violations(folder: Path, is_forbidden: Callable[[Path, str, bool], bool]) -> list[str]:
    """Where a rule is broken, as ``file:line: name``."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(folder)
        for name, line, eager in imports(path)
        if is_forbidden(path, name, eager)
    ]


def top(name: str) -> str:
    return name.partition(".")[0]


def test_the_sources_are_where_they_are_looked_for() -> None:
    assert CORE / "plugins.py" in sources(CORE)
    assert [b.name for b in BACKENDS if b.name == "flambeau_cpu"] == ["flambeau_cpu"]


def test_the_core_imports_no_backend_and_no_oracle() -> None:
    assert violations(CORE, lambda path, name, eager: top(name) in NOT_IN_CORE) == []


def test_the_core_imports_the_conformance_suite_in_one_place() -> None:
    place = CORE / "cli" / "conformance.py"
    assert violations(
        CORE, lambda path, name, eager: top(name) == "flambeau_conformance" and path != place
    ) == []


def test_the_core_imports_only_numpy_before_it_is_used() -> None:
    allowed = EAGER | sys.stdlib_module_names
    assert violations(CORE, lambda path, name, eager: eager and top(name) not in allowed) == []


def test_only_two_modules_import_pluggy_and_only_when_used() -> None:
    places = {CORE / "plugins.py", CORE / "backend" / "__init__.py"}
    assert violations(
        CORE, lambda path, name, eager: top(name) == "pluggy" and (eager or path not in places)
    ) == []


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda path: path.name)
def test_a_backend_imports_only_the_plugin_api(backend: Path) -> None:
    def is_private(path: Path, name: str, eager: bool) -> bool:
        is_api = name == "flambeau.backend" or name.startswith("flambeau.backend.")
        return top(name) == "flambeau" and not is_api

    assert violations(backend, is_private) == []


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda path: path.name)
def test_a_backend_imports_no_other_backend_and_no_oracle(backend: Path) -> None:
    others = {b.name for b in BACKENDS if b != backend} | {"torch", "pluggy"}
    assert violations(backend, lambda path, name, eager: top(name) in others) == []


def test_import_flambeau_loads_numpy_and_nothing_else() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); import flambeau;"
        "made = {n for n, m in sys.modules.items()"
        " if 'cython' in n and not hasattr(m, '__file__')};"
        "print(*sorted(set(sys.modules) - before - made))"  # of compiled modules, loaded from none
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "flambeau" in loaded
    allowed = EAGER | sys.stdlib_module_names
    assert [m for m in loaded if top(m) not in allowed] == []
    assert [m for m in loaded if m in LAZY_STANDARD] == []
