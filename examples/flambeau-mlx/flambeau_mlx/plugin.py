"""What the entry point names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flambeau.backend import Backend, hookimpl


@hookimpl
def flambeau_backend() -> Backend:
    """The backend, made when the device ``mlx`` is first used."""
    from flambeau_mlx.device import MlxBackend

    return MlxBackend()


@hookimpl
def flambeau_conformance(config: Any) -> None:
    """What the suite should not expect comes with the package."""
    config.expectations = Path(__file__).parent / "flambeau-expect.toml"
