"""OpenCL's errors and devices, real ones where there are any."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flambeau.plugins import BackendUnavailable, backend_for


@pytest.fixture(scope="session")
def backend() -> Any:
    """The backend with a real device."""
    try:
        return backend_for("opencl")
    except BackendUnavailable as error:
        pytest.skip(f"no OpenCL device: {error.cause}")


@pytest.fixture
def make_error() -> Any:
    """Makes errors as pyopencl raises them."""
    cl = pytest.importorskip("pyopencl")

    def make(code: int, kind: str = "LogicError") -> Exception:
        record = cl._cl._ErrorRecord(msg="what happened", code=code, routine="clSomething")
        error: Exception = getattr(cl, kind)(record)
        return error

    return make


@pytest.fixture
def make_device() -> Any:
    """Makes devices that answer like a driver's."""
    cl = pytest.importorskip("pyopencl")

    def make(name: str, kind: str = "CPU", platform: str = "A platform", **facts: Any) -> Any:
        known = {
            "available": True, "compiler_available": True, "vendor": "A vendor",
            "version": "OpenCL 1.2", "driver_version": "7.1", "extensions": "",
            "single_fp_config": 0, "double_fp_config": 0, "max_compute_units": 4,
            "max_work_group_size": 1024, "local_mem_size": 65536, "global_mem_size": 1 << 30,
        }
        owner = SimpleNamespace(name=platform, version="OpenCL 3.0")
        return SimpleNamespace(
            name=name, type=getattr(cl.device_type, kind), platform=owner, **{**known, **facts})

    return make
