"""The entry point of the ``opencl`` device."""

from __future__ import annotations

from flambeau.backend import Backend, hookimpl
from flambeau_opencl.loader import import_pyopencl

import_pyopencl()  # here, so that a missing pyopencl is told with the extra that installs it


@hookimpl
def flambeau_backend() -> Backend:
    """The OpenCL backend."""
    from flambeau_opencl.device import OpenCLBackend

    return OpenCLBackend()
