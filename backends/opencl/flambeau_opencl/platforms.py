"""Which OpenCL devices there are, in which order, and which of them are used.

Environment:
    ``FLAMBEAU_OPENCL_DEVICE``: the devices to use, by comma: numbers in the list of all of them, or
    parts of a device's or platform's name, in any case.  The first one named is ``opencl:0``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pyopencl as cl

from flambeau.backend import BackendError

SELECTION: Final = "FLAMBEAU_OPENCL_DEVICE"
_PLATFORM_NOT_FOUND: Final = -1001
_FLAGS: Final = {
    "GPU": cl.device_type.GPU, "accelerator": cl.device_type.ACCELERATOR,
    "CPU": cl.device_type.CPU,
}
KINDS: Final = (*_FLAGS, "device", "simulator")
"""In the order in which devices are numbered."""


def selected_devices() -> list[Any]:
    """The devices to use: ``opencl:0`` first.

    Raises:
        BackendError: if there is none, or the selection names none.
    """
    devices = all_devices()
    if not devices:
        raise BackendError(none_found())
    return select(devices, os.environ.get(SELECTION, ""))


def all_devices() -> list[Any]:
    """All devices of all platforms: GPUs, accelerators, CPUs; else as the loader lists them."""
    try:
        platforms: Sequence[Any] = cl.get_platforms()
    except cl.Error as error:
        if error.code != _PLATFORM_NOT_FOUND:
            raise BackendError(f"OpenCL's list of platforms cannot be read: {error}") from error
        platforms = []
    found = [device for platform in platforms for device in _devices_of(platform)]
    return sorted(found, key=rank)  # sorted() keeps the order among equals


def _devices_of(platform: Any) -> Iterable[Any]:
    try:
        devices: Iterable[Any] = platform.get_devices()
    except cl.Error:  # a driver without its hardware says so by an error
        return []
    return [d for d in devices if d.available and d.compiler_available]


def rank(device: Any) -> int:
    """The number of a device's kind in the order of preference."""
    return KINDS.index(kind_of(device))


def kind_of(device: Any) -> str:
    """What a device is: one of :data:`KINDS`."""
    if device.platform.name == "Oclgrind":  # says that it is everything at once
        return "simulator"
    return next((word for word, flag in _FLAGS.items() if device.type & flag), "device")


def name_of(device: Any) -> str:
    """A device's and its platform's name, without the spaces that some drivers pad with."""
    return f"{' '.join(device.name.split())} ({' '.join(device.platform.name.split())})"


def select(devices: Sequence[Any], wanted: str) -> list[Any]:
    """The devices that a selection names, each once, in the order in which it names them.

    Args:
        devices: all devices.
        wanted: numbers and parts of names, by comma; empty for all.

    Raises:
        BackendError: if a part of the selection names no device.
    """
    words = [word.strip() for word in wanted.split(",") if word.strip()]
    chosen: list[Any] = []
    for word in words:
        matching = _matching(devices, word)
        if not matching:
            listed = "; ".join(f"{n}: {name_of(d)}" for n, d in enumerate(devices))
            raise BackendError(
                f"{SELECTION}={wanted!r}: no OpenCL device matches {word!r}; there are {listed}"
            )
        chosen += [device for device in matching if device not in chosen]
    return chosen if words else list(devices)


def _matching(devices: Sequence[Any], word: str) -> list[Any]:
    if word.isdecimal() and int(word) < len(devices):
        return [devices[int(word)]]
    return [d for d in devices if word.lower() in name_of(d).lower()]


def none_found() -> str:
    """What was looked for, and which package gives a driver."""
    place = os.environ.get("OCL_ICD_VENDORS")
    looked = (
        f"among the drivers in OCL_ICD_VENDORS={place}" if place
        else "among the system's drivers (on Linux: /etc/OpenCL/vendors/*.icd); intel-opencl-rt is "
        "not installed in this environment either"
    )
    return (
        f"no OpenCL device was found {looked} (pyopencl {cl.VERSION_TEXT}). A driver comes with: "
        "pip install intel-opencl-rt intel-cmplr-lib-rt (CPUs, x86-64); apt install "
        "pocl-opencl-icd (CPUs), intel-opencl-icd (Intel GPUs), mesa-opencl-icd (AMD GPUs and "
        "others); AMD's ROCm or NVIDIA's driver (their GPUs)"
    )
