"""Writes the Cython sources, and compiles them."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
import time
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from flambeau import compiled
from flambeau.compile_core import functions, texts


def build() -> None:
    """Compile the core of the package that is imported.

    Raises:
        ModuleNotFoundError: without Cython or setuptools, which ``flambeau[compiled]`` brings.
        RuntimeError: if the compiler fails; what it said is in the message.
    """
    started = time.perf_counter()
    where = compiled.folder()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        sources = _write(root / "flambeau")
        made = _compile(root, sources)
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir(parents=True)
        for name, file in made.items():
            shutil.copy2(file, where / f"{name}{EXTENSION_SUFFIXES[0]}")
        (where / "sources").write_text(compiled.fingerprint())
    print(f"{len(made)} modules in {where}, {time.perf_counter() - started:.0f} s")


def _write(package: Path) -> dict[str, Path]:
    """Cython sources by module name."""
    package.mkdir()
    (package / "__init__.pxd").touch()
    (package / "compiled_short.pxd").write_text(texts.SHORT)
    written = {}
    for name in compiled.MODULES:
        source = compiled.source_of(name).read_text(encoding="utf-8")
        file = package.joinpath(*name.split(".")).with_suffix(".pyx")
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.pxd").touch()
        file.write_text(texts.cython_source(name, source), encoding="utf-8")
        if declared := texts.declarations(name):
            file.with_suffix(".pxd").write_text(declared)
        written[name] = file
    for name, text in zip(
        compiled.FUNCTIONS, functions.module_texts(len(compiled.FUNCTIONS)), strict=True
    ):
        written[name] = package / f"{name}.pyx"
        written[name].write_text(text)
    return written


def _compile(root: Path, sources: dict[str, Path]) -> dict[str, Path]:
    try:
        from Cython.Build import cythonize
        from setuptools import Distribution, Extension
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'compiling the core needs {error.name}: pip install "flambeau[compiled]"') from error
    flags = [] if sys.platform == "win32" else ["-O1", "-fwrapv", "-g0", "-w"]
    extensions = [
        Extension(f"flambeau.{name}", [str(file)], extra_compile_args=flags)
        for name, file in sources.items()]
    made = cythonize(
        extensions, include_path=[str(root)], quiet=True, build_dir=str(root / "c"),
        compiler_directives=texts.DIRECTIVES)
    for extension, (name, file) in zip(made, sources.items(), strict=True):
        if name not in compiled.FUNCTIONS:
            _name_source(Path(extension.sources[0]), file, name)
    distribution = Distribution({"name": "flambeau-compiled", "ext_modules": made})
    command: Any = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(root / "lib"), str(root / "o")
    command.parallel = True
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            distribution.run_command("build_ext")
    except BaseException as error:
        raise RuntimeError(f"compiling the core failed: {error}\n{said.getvalue()}") from error
    return {
        name: Path(command.get_ext_fullpath(f"flambeau.{name}")) for name in sources}


def _name_source(c_file: Path, cython_file: Path, name: str) -> None:
    """Let tracebacks name the source of the package, whose lines are the same."""
    text = c_file.read_text(encoding="utf-8")
    for shown in {str(cython_file), f"flambeau/{name.replace('.', '/')}.pyx"}:
        text = text.replace(f'"{shown}"', f'"{compiled.source_of(name).as_posix()}"')
    c_file.write_text(text, encoding="utf-8")
