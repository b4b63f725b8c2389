"""The compiled core: C modules that stand in for the hot ones, made by ``flambeau.compile_core``.

They lie in ``__compiled__`` beside the sources, in a folder per interpreter and platform, and are
used only if they were built from exactly the sources that are installed.  ``FLAMBEAU_COMPILED=0``
leaves them alone.  Nothing else tells whether they are there: the sources mean the same.
"""

from __future__ import annotations

import _imp
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = Path(__file__).parent
MODULES: Final = (
    "fields", "storage", "layout", "autograd.node", "autograd.engine", "tensor", "dispatch",
    "ops.getitem", "ops.create", "ops.shape",
    "ops.pointwise",
)
"""Modules of the package that are compiled from their own sources."""
FUNCTIONS: Final = tuple(f"compiled_functions_{i}" for i in range(4))
"""The modules of the functions that the call path writes from schemas; parts compile at once."""
WRITERS: Final = (
    "compiled", "wrappers", "fused", "schema", "registry", "compile_core.build",
    "compile_core.functions", "compile_core.structures", "compile_core.texts",
)
"""Modules that decide what is compiled, beside the compiled ones."""


def source_of(name: str) -> Path:
    """The file of a module of the package."""
    return PACKAGE.joinpath(*name.split(".")).with_suffix(".py")


def folder() -> Path:
    """Where compiled modules for this interpreter and platform lie."""
    return PACKAGE / "__compiled__" / EXTENSION_SUFFIXES[0].strip(".").rpartition(".")[0]


def fingerprint() -> str:
    """A hash of all sources that compiled modules follow from."""
    sources = b"".join(source_of(name).read_bytes() for name in (*MODULES, *WRITERS))
    return _imp.source_hash(0, sources).hex()


class _Finder:
    """Finds compiled modules before the import system finds their sources."""

    def __init__(self, where: Path) -> None:
        self.files = {
            f"flambeau.{name}": where / f"{name}{EXTENSION_SUFFIXES[0]}"
            for name in (*MODULES, *FUNCTIONS)}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The specification of a module that is compiled."""
        file = self.files.get(name)
        if file is None:
            return None
        return spec_from_file_location(
            name, file, loader=ExtensionFileLoader(name, str(file)))


def _activate() -> str:
    """Put compiled modules in the place of their sources; say what was found."""
    if os.environ.get("FLAMBEAU_COMPILED") == "0":
        return "switched off by FLAMBEAU_COMPILED=0"
    where = folder()
    try:
        built_from = (where / "sources").read_text()
    except OSError:
        return "not built; `python -m flambeau.compile_core` builds it"
    if built_from != fingerprint():
        return "built from other sources; `python -m flambeau.compile_core` builds it again"
    sys.meta_path.insert(0, _Finder(where))
    return "in use"


STATE: Final = _activate()
"""What became of the compiled core, in words."""
IS_USED: Final = STATE == "in use"
