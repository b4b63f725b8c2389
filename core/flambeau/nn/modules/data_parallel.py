"""The wrapper that programs put around a model to use several devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau.nn.modules.module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """Runs a module on its own device; splitting a batch over several is not supported.

    With one device or none named, programs written with the wrapper run, and their state dicts
    have the same names (``module.`` in front).

    Args:
        device_ids: at most one device, to which the module is moved.
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        devices = list(device_ids or ())
        if len(devices) > 1:
            raise NotImplementedError(
                f"DataParallel: splitting batches over {len(devices)} devices is not supported; "
                "name one device, or leave device_ids out")
        self.module, self.device_ids, self.dim = module, devices, dim
        self.output_device = output_device
        if devices and not isinstance(devices[0], int):
            module.to(devices[0])

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        return self.module(*inputs, **kwargs)
