"""What the entry point names."""

from __future__ import annotations

from flambeau.backend import Backend, hookimpl


@hookimpl
def flambeau_backend() -> Backend:
    """The backend, made when the device ``wgpu`` is first used."""
    from flambeau_wgpu.device import WgpuBackend

    return WgpuBackend()
