"""The host's compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from flambeau.backend import BackendError
from flambeau.backend.generated import C, KernelSource


@cache
def find_compiler() -> str | None:
    """The compiler that ``CC`` names, or the first of the usual ones."""
    names = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


@cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """Where libraries are built; removed at exit."""
    return tempfile.TemporaryDirectory(prefix="flambeau-hostc-")


def build(source: KernelSource) -> str:
    """The path of a library with one kernel.

    Raises:
        BackendError: with the compiler's words.
    """
    place = Path(tempfile.mkdtemp(dir=folder().name))
    text = place / f"{source.name}.c"
    text.write_text(source.text)
    library = place / f"{source.name}.so"
    command = [find_compiler() or "cc", *C.flags, *os.environ.get("CFLAGS", "").split(),
               "-o", str(library), str(text), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackendError(f"hostc: {source.name} does not compile:\n{done.stderr}\n{source.text}")
    return str(library)
