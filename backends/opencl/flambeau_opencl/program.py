"""From a kernel's text to something that can be launched: built once per device, kept on disk.

Environment:
    ``FLAMBEAU_DEBUG``: a comma list; with ``kernels`` in it, each source is printed to the
    standard error stream when its kernel is made.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

import pyopencl as cl
from pyopencl import _cl

from flambeau.backend import BackendError
from flambeau.backend.disk import DiskCache

_ERROR_AT: Final = re.compile(r"^[^\s:]*:(\d+):\d+: (?:fatal )?error:", re.MULTILINE)
"""Where clang's messages name a line; drivers call the file ``<kernel>``, ``10``, a path."""
_SHOWN: Final = 5  # errors whose lines are shown

_cache: Final = DiskCache("opencl")


def build(
    context: Any, device: Any, name: str, text: str, options: str, identity: str
) -> Any:
    """The ``pyopencl.Program`` of a source, its binary taken from the disk cache if it is there.

    Args:
        context: what the device belongs to.
        device: what it is built for.
        name: the kernel's name in the source.
        text: the source.
        options: the compiler's options.
        identity: device, driver and processor: where a binary is good.

    Raises:
        BackendError: if the compiler refuses the source; with its log and the lines at fault.
    """
    if "kernels" in os.environ.get("FLAMBEAU_DEBUG", "").split(","):
        print(f"// kernel {name} ({options})\n{text}", file=sys.stderr)
    key = (text, options, identity)
    binary = _cache.get(*key)
    if binary is not None:
        try:
            return _built(_cl._Program(context, [device], [binary]), device, options)
        except cl.Error:
            pass  # the driver no longer takes it: compile and store it anew
    # Not pyopencl.Program: it has a cache of its own, and warns whenever a compiler says anything.
    program = _cl._Program(context, text)
    try:
        built = _built(program, device, options)
    except cl.Error as error:
        raise refused(name, text, _log(program, device) or str(error), device.name) from error
    binaries = program.get_info(cl.program_info.BINARIES)
    if binaries and binaries[0]:
        _cache.put(binaries[0], *key)
    return built


def _built(program: Any, device: Any, options: str) -> Any:
    program._build(options.encode(), [device])
    return cl.Program(program)


def _log(program: Any, device: Any) -> str:
    log: str = program.get_build_info(device, cl.program_build_info.LOG)
    return log.strip("\0 \n")


def refused(name: str, text: str, log: str, device: str) -> BackendError:
    """The error of a source that does not compile."""
    shown = "\n".join(_lines_at_fault(text, log))
    return BackendError(
        f"opencl: the kernel {name!r} does not compile on {device.strip()}:\n{log}"
        + (f"\n{shown}" if shown else "")
    )


def _lines_at_fault(text: str, log: str) -> Iterator[str]:
    """Numbered lines of the source around each error that the log gives a place for."""
    lines = text.splitlines()
    places = list(dict.fromkeys(int(n) for n in _ERROR_AT.findall(log)))[:_SHOWN]
    wanted = sorted({n for at in places for n in range(at - 2, at + 3) if 0 < n <= len(lines)})
    for n in wanted:
        mark = ">" if n in places else " "
        yield f"{mark}{n:5} | {lines[n - 1]}"
