"""What an OpenCL device says about itself, asked once.

Environment:
    ``FLAMBEAU_OPENCL_LANES``: how many work items share a reduction, scan or sort, a power of 2, in
    place of 1 on CPUs and 256 elsewhere: for tests of one on the other, and for tuning.
"""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import pyopencl as cl

from flambeau.backend import BackendError
from flambeau.backend.generated import Traits
from flambeau_opencl.platforms import kind_of

LANES: Final = "FLAMBEAU_OPENCL_LANES"
_CORRECTLY_ROUNDED: Final = 1 << 7  # CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT
_INT64_ATOMICS: Final = "cl_khr_int64_base_atomics"
_LANES: Final = 256
"""Work items that share a reduction, except on CPUs, where the device allows as many."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Properties of a device.

    Attributes:
        name, kind, platform, version, driver: for people.
        options: the compiler's.
        identity: where a compiled binary is good: device, driver and, for CPUs, the processor.
        has_f64: double precision.
        has_wide_atomics: atomic operations on 8 bytes.
        is_rounded: whether f32 division and square root are declared to be correctly rounded.
        units: compute units.
        group_size: most work items in a group.
        local_memory: bytes that a group can share.
        total_memory: bytes of the device.
    """

    name: str
    kind: str
    platform: str
    version: str
    driver: str
    options: str
    identity: str
    has_f64: bool
    has_wide_atomics: bool
    is_rounded: bool
    units: int
    group_size: int
    local_memory: int
    total_memory: int

    @staticmethod
    def of(device: Any) -> Facts:
        """Ask a device."""
        extensions = set(device.extensions.split())
        is_rounded = bool(device.single_fp_config & _CORRECTLY_ROUNDED)
        rounded = " -cl-fp32-correctly-rounded-divide-sqrt" if is_rounded else ""
        kind = kind_of(device)
        named = [
            device.platform.name, device.platform.version, device.vendor, device.name,
            device.version, device.driver_version,
        ]
        return Facts(
            name=" ".join(device.name.split()), kind=kind, platform=device.platform.name.strip(),
            version=device.version.strip(), driver=device.driver_version.strip(),
            options=f"-cl-std=CL1.2{rounded}",
            identity="\n".join([*named, processor() if kind == "CPU" else ""]),
            has_f64="cl_khr_fp64" in extensions or bool(_double_config(device)),
            has_wide_atomics=_INT64_ATOMICS in extensions,
            is_rounded=is_rounded,
            units=device.max_compute_units,
            group_size=device.max_work_group_size,
            local_memory=device.local_mem_size,
            total_memory=device.global_mem_size,
        )

    def info(self) -> dict[str, str]:
        """For people."""
        return {
            "name": self.name, "kind": self.kind, "platform": self.platform,
            "version": self.version, "driver": self.driver, "compute units": str(self.units),
            "library": f"pyopencl {cl.VERSION_TEXT}",
        }

    def traits(self) -> Traits:
        """For the generator."""
        most = 1 << (self.group_size.bit_length() - 1)  # the next power of 2 downwards
        return Traits(
            group_size=min(64, most), lanes=min(self._lanes(), most), units=self.units,
            local_memory=self.local_memory, has_f64=self.has_f64, has_atomics=True,
            has_wide_atomics=self.has_wide_atomics,
        )

    def _lanes(self) -> int:
        given = os.environ.get(LANES, "")
        if not given:
            return 1 if self.kind == "CPU" else _LANES
        lanes = int(given) if given.isdecimal() else 0
        if lanes.bit_count() != 1:
            raise BackendError(f"{LANES}={given!r}: it must be a power of 2, such as 1 or 64")
        return lanes


def _double_config(device: Any) -> int:
    """The properties of double precision; 0 where there is none, or no word for it."""
    with suppress(cl.Error, AttributeError):
        config: int = device.double_fp_config
        return config
    return 0


def processor() -> str:
    """The host's processor with its instruction sets.

    A home folder may be shared by machines whose CPUs have one name and differ in what they can do.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(("flags", "Features")):
                    return line.strip()
    return f"{platform.machine()} {platform.processor()}"
