"""What the device is."""

from __future__ import annotations

import os
from typing import ClassVar

import mlx.core as mx

from flambeau.backend import Capabilities
from flambeau.backend.functional import FunctionalBackend, FunctionTable
from flambeau_mlx.arrays import DTYPES
from flambeau_mlx.kernels import table


class MlxBackend(FunctionalBackend):
    """MLX's default device: the GPU of a Mac, else the CPU."""

    name = "mlx"
    kernels: ClassVar[FunctionTable] = table

    def __init__(self) -> None:
        self._capabilities = Capabilities(
            dtypes=frozenset(DTYPES), deterministic=True, asynchronous=True,
            total_memory=_memory(),
        )

    def device_count(self) -> int:
        """One: memory is shared by all that MLX computes on."""
        return 1

    def capabilities(self, index: int) -> Capabilities:
        """Ten dtypes.  Neither threads nor forks: MLX's streams belong to their thread."""
        return self._capabilities

    def device_info(self, index: int) -> dict[str, str]:
        """The processor and the MLX version."""
        device = mx.default_device()
        name = mx.device_info(device).get("device_name", "")
        return {"name": f"{name} ({device.type.name})", "library": f"mlx {mx.__version__}"}

    def empty_cache(self) -> None:
        """Give memory that MLX keeps for reuse back to the system."""
        mx.clear_cache()


def _memory() -> int:
    """Bytes of memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
