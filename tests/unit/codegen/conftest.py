"""Devices that run generated kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kernel_device import Device, c_backend, opencl_backend

LANES = 32


@pytest.fixture(scope="session")
def c_device() -> Device:
    """One item per row, or per tile of rows; C."""
    return Device(c_backend(), "c")


@pytest.fixture(scope="session", params=["c", "opencl", "opencl_lanes"])
def device(request: Any) -> Iterator[Device]:
    """Every way in which kernels over rows are laid out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CFLAGS", "-O1")  # compiling takes longer than running
        if request.param == "c":
            yield request.getfixturevalue("c_device")
        else:
            lanes = LANES if request.param == "opencl_lanes" else 1
            yield Device(opencl_backend(lanes), request.param)
