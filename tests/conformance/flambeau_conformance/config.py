"""What a run of the suite is about."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flambeau.backend import Backend, Capabilities
from flambeau.device import device as Device

TOP_LEVEL = 5


@dataclass(slots=True)
class Config:
    """The device, how far to go, and what a plugin has to say about it.

    A plugin's ``flambeau_conformance(config)`` hook may set ``expectations`` to the path of the
    file that it ships, and ``level`` to the highest level that it means to pass.
    """

    device: str
    level: int = TOP_LEVEL
    """The highest level to run."""
    seed: int = 0
    deep: bool = field(default_factory=lambda: os.environ.get("HYPOTHESIS_PROFILE") == "deep")
    """Many more generated cases."""
    expectations: Path | None = None
    """A ``flambeau-expect.toml``."""

    @property
    def place(self) -> Device:
        """The device with its index."""
        from flambeau import dtypes
        from flambeau.kind import kind_of

        held = self.capabilities.dtypes
        what = next(d for d in dtypes.ALL if d in held)
        return kind_of(Device(self.device), what).device

    @property
    def backend(self) -> Backend:
        """The backend of the device."""
        from flambeau.plugins import backend_for

        return backend_for(Device(self.device).type)

    @property
    def index(self) -> int:
        """The index of the device."""
        given = Device(self.device).index
        return self.backend.current_device() if given is None else given

    @property
    def capabilities(self) -> Capabilities:
        """What the device claims."""
        return self.backend.capabilities(self.index)

    def holds(self, *dtypes: Any) -> bool:
        """Whether the device claims dtypes."""
        return all(d in self.capabilities.dtypes for d in dtypes)
