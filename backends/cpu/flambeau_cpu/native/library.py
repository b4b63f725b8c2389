"""Libraries of kernels: compiled once, kept on disk, loaded when a kernel is first called."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from flambeau.backend import BackendError
from flambeau.backend.disk import DiskCache
from flambeau_cpu.native.choice import IS_OFF
from flambeau_cpu.native.compiler import Compiler, find
from flambeau_cpu.native.mathematics import HEADER, MORE, header

SOURCES: Final = Path(__file__).parent / "c"
_KINDS: Final[Mapping[str, Any]] = {
    "a": ctypes.py_object,  # an array, or None
    "i": ctypes.c_int64, "d": ctypes.c_double, "f": ctypes.c_float, "p": ctypes.c_void_p,
}
_INCLUDE: Final = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_lock: Final = threading.RLock()
failures: Final[dict[str, str]] = {}
"""Libraries that could not be built or loaded, and why."""


class Library:
    """A C source with its functions; calling it gives the loaded functions, or None.

    Args:
        name: of the source in ``c/``, or of a generated one.
        functions: for each function its arguments, one letter each: ``a`` array or None, ``i``
            integer, ``d`` double, ``f`` float, ``p`` address.  An upper-case ``I`` in front means
            that it returns an integer.
        text: makes the source; by default it is read from the file.
        recipe: all that the text depends on, where that is quicker to say than the text is to make;
            with the text's ``#include`` lines.
    """

    def __init__(
        self, name: str, functions: Mapping[str, str], text: Callable[[], str] | None = None,
        recipe: str | None = None,
    ) -> None:
        self.name, self.functions, self.recipe = name, functions, recipe
        self._text = text or (SOURCES / f"{name}.c").read_text
        self._loaded: Any = None
        self._is_tried = False

    def __call__(self) -> Any:
        """An object with the functions as attributes; None where nothing can be compiled."""
        return self._loaded if self._is_tried else self._load()

    def _load(self) -> Any:
        with _lock:
            if not self._is_tried:
                compiler = find()
                if compiler is not None and runtime() is not None:
                    self._loaded = self._guarded(compiler)
                self._is_tried = True
        return self._loaded

    def _guarded(self, compiler: Compiler) -> Any:
        try:
            library = load(compiler, self.name, self._text, self.recipe)
            library.fb_bind(_address(runtime().fb_run))
            return _bound(library, self.functions)
        except (BackendError, OSError, AttributeError) as error:
            failures[self.name] = str(error)
            warnings.warn(
                f"flambeau: the kernels {self.name!r} of the cpu cannot be used and NumPy does "
                f"their work; `flambeau doctor` says why ({str(error).splitlines()[0]})",
                RuntimeWarning, stacklevel=2)
            return None


class _Functions:
    """The functions of a loaded library."""


def _bound(library: ctypes.CDLL, functions: Mapping[str, str]) -> Any:
    found = _Functions()
    for name, kinds in functions.items():
        function = getattr(library, name)
        function.restype = ctypes.c_int64 if kinds.startswith("I") else None
        function.argtypes = [_KINDS[k] for k in kinds.removeprefix("I")]
        setattr(found, name, function)
    return found


def _address(function: Any) -> ctypes.c_void_p:
    return ctypes.cast(function, ctypes.c_void_p)


@cache
def _disk() -> DiskCache:
    return DiskCache("cpu")


def included(text: str) -> list[str]:
    """The headers of a source and of its headers; ``mathematics.h`` is generated."""
    found: list[str] = []
    left = [text]
    while left:
        for name in _INCLUDE.findall(left.pop()):
            if name not in found:
                found.append(name)
                if name != HEADER:
                    left.append((SOURCES / name).read_text())
    return sorted(found)


def _version_of(name: str) -> str:
    """What a header's content is known by."""
    if name != HEADER:
        return (SOURCES / name).read_text()
    from flambeau.backend.generated import version

    return version() + repr(MORE)


def load(
    compiler: Compiler, name: str, text: Callable[[], str], recipe: str | None = None
) -> ctypes.CDLL:
    """The library of a source, from the disk or newly compiled.

    Raises:
        BackendError: if it does not compile.
        OSError: if it cannot be loaded.
    """
    source = recipe or text()
    headers = included(source)
    key = (compiler.key, source, *map(_version_of, headers))
    binary = _disk().get(*key)
    if binary is None:
        made = {HEADER: header()} if HEADER in headers else {}
        binary = compiler.build(text(), SOURCES, made)
        _disk().put(binary, *key)
    handle, path = tempfile.mkstemp(prefix=f"flambeau-{name}-", suffix=".so")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(binary)
        return ctypes.CDLL(path)
    finally:
        with suppress(OSError):
            os.unlink(path)  # the mapping stays


@cache
def runtime() -> Any:
    """The pool of threads, or None if it cannot be built here."""
    compiler = find()
    if compiler is None:
        return None
    with _lock:
        try:
            library = load(compiler, "threads", (SOURCES / "threads.c").read_text)
            functions = _bound(library, {"fb_run": "ppi", "fb_set_threads": "i",
                                         "fb_threads": "I", "fb_look": "ap"})
            _compare(functions)
        except (BackendError, OSError, AttributeError) as error:
            failures["threads"] = str(error)
            return None
        functions.fb_set_threads(default_threads())
        return functions


def _compare(functions: Any) -> None:
    """Refuse the library if it does not read arrays as NumPy writes them.

    Raises:
        OSError: saying so.
    """
    sample = np.zeros((3, 5), np.int16)[:, 1:4]
    seen = (ctypes.c_int64 * 6)()
    functions.fb_look(sample, ctypes.addressof(seen))
    if list(seen) != [sample.ctypes.data, 2, *sample.shape, *sample.strides]:
        raise OSError("the layout of NumPy's arrays is not the one that kernels in C know")


def default_threads() -> int:
    """``OMP_NUM_THREADS`` if it is set, else one for each processor this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe() -> list[str]:
    """Lines for ``flambeau doctor``."""
    compiler = find()
    if compiler is None:
        return [
            "kernels in C: off (FLAMBEAU_CPU_NATIVE=0)" if IS_OFF else
            "kernels in C: no compiler was found; install one, or: pip install flambeau[compiler]"]
    pool = runtime()
    return [
        f"kernels in C: {' '.join(compiler.command)} ({compiler.version}), "
        f"{pool.fb_threads() if pool is not None else 0} threads, kept in {_disk().folder}",
        *(f"not used: {name}: {why}" for name, why in failures.items()),
    ]
