"""The entry point of the ``cpu`` device."""

from __future__ import annotations

from flambeau.backend import Backend, hookimpl


@hookimpl
def flambeau_backend() -> Backend:
    """The CPU backend."""
    from flambeau_cpu.device import CpuBackend

    return CpuBackend()
