"""What the entry point names."""

from __future__ import annotations

from flambeau.backend import Backend, hookimpl


@hookimpl
def flambeau_backend() -> Backend:
    """The backend, made when the device ``hostc`` is first used."""
    from flambeau_hostc.device import HostC

    return HostC()
