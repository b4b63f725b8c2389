"""The host's compiler, found once."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from flambeau.backend import BackendError

FLAGS: Final = (
    "-std=gnu11", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno",
    "-fno-trapping-math", "-fno-strict-aliasing", "-fvisibility=default", "-shared", "-fPIC",
    "-pthread", "-w",
)
"""Nothing here lets a compiler change what a float computes: results depend on the source alone."""
_TIMEOUT: Final = 300  # seconds


@dataclass(frozen=True)
class Compiler:
    """A C compiler that works.

    Attributes:
        command: the words that call it.
        version: the first line of what it says of itself.
    """

    command: tuple[str, ...]
    version: str

    @property
    def key(self) -> str:
        """What a binary depends on besides its source."""
        return "\n".join([self.version, *self.command, *FLAGS, processor()])

    def build(self, text: str, folder: Path, headers: Mapping[str, str]) -> bytes:
        """The shared library that a source makes.

        Args:
            folder: where the source's headers are.
            headers: texts of further ones, by name.

        Raises:
            BackendError: with the compiler's words.
        """
        with tempfile.TemporaryDirectory(prefix="flambeau-") as place:
            source, library = Path(place, "kernel.c"), Path(place, "kernel.so")
            source.write_text(text)
            for name, content in headers.items():
                Path(place, name).write_text(content)
            done = subprocess.run(
                [*self.command, *FLAGS, f"-DHEAD={object.__basicsize__}", f"-I{folder}", "-o",
                 str(library), str(source), "-lm"],
                capture_output=True, text=True, check=False, timeout=_TIMEOUT)
            if done.returncode:
                raise BackendError(f"cpu: {self.command[0]} refuses a kernel:\n{done.stderr}")
            return library.read_bytes()


@cache
def find() -> Compiler | None:
    """The compiler that ``CC`` names, or the first of the usual ones that works."""
    if sys.platform == "win32" or os.environ.get("FLAMBEAU_CPU_NATIVE") == "0":
        return None  # the pool of threads is written for POSIX
    given = os.environ.get("CC", "").split()
    for words in ([given] if given else [["cc"], ["gcc"], ["clang"]]):
        if path := shutil.which(words[0]):
            found = _tried((path, *words[1:]))
            if found is not None:
                return found
    return _tried((sys.executable, "-m", "ziglang", "cc")) if _has_zig() else None


def _has_zig() -> bool:
    from importlib.util import find_spec

    return find_spec("ziglang") is not None


def _tried(command: tuple[str, ...]) -> Compiler | None:
    try:
        said = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return Compiler(command, (said.stdout.splitlines() or [""])[0])


@cache
def processor() -> str:
    """What ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = ("model name", "cpu family", "model\t", "flags", "Features", "CPU part")
    found = sorted({line for line in lines if line.startswith(kept)})
    return platform.machine() + hashlib.sha256("\n".join(found).encode()).hexdigest()
