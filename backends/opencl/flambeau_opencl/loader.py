"""Make OpenCL drivers known that pip installed, before the OpenCL loader looks for drivers.

The loader (ICD loader) reads the folder ``/etc/OpenCL/vendors``, in which each ``.icd`` file names
a driver's library.  The PyPI package ``intel-opencl-rt`` puts its library into the environment, and
its ``.icd`` files name a path of the machine where it was built.  So a folder of our own is written
with the drivers that the loader finds by itself and Intel's, and the loader is told by the
variable that it knows, ``OCL_ICD_VENDORS``.  Whoever has set that variable is not overridden.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from flambeau.backend.disk import private_folder

SYSTEM_FOLDER: Final = "/etc/OpenCL/vendors"
_INTEL: Final = ("intel-opencl-rt", "libintelocl.so")


def import_pyopencl() -> None:
    """Import pyopencl, with the drivers of this environment in its sight."""
    if sys.platform.startswith("linux") and "OCL_ICD_VENDORS" not in os.environ:
        show_drivers()
    import pyopencl  # noqa: F401  # for what it raises where it is missing


def show_drivers() -> None:
    """Set ``OCL_ICD_VENDORS`` if pip installed a driver that the loader would not find."""
    library = installed_library(*_INTEL)
    if library is None:
        return
    known = dict(drivers(_folders()))
    if any(Path(name).name == library.name for name in known.values()):
        return
    known["flambeau-intel.icd"] = str(library)
    os.environ["OCL_ICD_VENDORS"] = str(write_folder(known))


def installed_library(distribution: str, name: str) -> Path | None:
    """Where a library of an installed distribution lies; ``None`` if it is not there."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = files(distribution) or []
    except PackageNotFoundError:
        return None
    for each in listed:
        if each.name == name and (found := Path(str(each.locate())).resolve()).is_file():
            return found
    return None


def _folders() -> list[Path]:
    """Where loaders look by themselves: the system's folder, and the environment's.

    pyopencl's own loader finds drivers that lie beside it (PoCL's and oclgrind's wheels put them
    there) whatever it is told.
    """
    return [
        Path(os.environ.get("OPENCL_VENDOR_PATH") or SYSTEM_FOLDER),
        Path(sys.prefix, "etc", "OpenCL", "vendors"),
    ]


def drivers(folders: Iterable[Path]) -> Iterable[tuple[str, str]]:
    """File name and library of each ``.icd`` file that names a library which may exist.

    One without a folder does: the system searches for it.
    """
    for folder in folders:
        with suppress(OSError):
            for path in sorted(folder.glob("*.icd")):
                library = path.read_text(errors="replace").strip()
                if library and (os.sep not in library or os.path.exists(library)):
                    yield path.name, library


def write_folder(known: dict[str, str]) -> Path:
    """A folder with one ``.icd`` file for each driver, private to the user.

    Its name follows from its content: another environment has another one, and a process that
    finds it has nothing to write.
    """
    told = "\n".join(f"{name}: {library}" for name, library in sorted(known.items()))
    folder = private_folder("opencl-vendors", hashlib.sha256(told.encode()).hexdigest()[:16])
    if folder is None:  # no trustworthy cache: a folder of this process alone
        folder = Path(tempfile.mkdtemp(prefix="flambeau-opencl-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, library in known.items():
        _write_once(folder / name, library + "\n")
    return folder


def _write_once(path: Path, text: str) -> None:
    with suppress(OSError):
        if path.read_text() == text:
            return
    number, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with open(number, "w") as file:
        file.write(text)
    os.replace(temporary, path)
