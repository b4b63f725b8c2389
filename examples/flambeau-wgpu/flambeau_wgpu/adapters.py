"""Which adapters there are, and one of them opened.

Environment:
    ``FLAMBEAU_WGPU_ADAPTER``: only adapters whose description contains this, in any case:
    ``vulkan``, ``opengl``, ``nvidia``, ``llvmpipe``.
"""

from __future__ import annotations

import os
from typing import Any, Final

import wgpu

KINDS: Final = ("DiscreteGPU", "IntegratedGPU", "VirtualGPU", "CPU", "Unknown")
"""Adapters are numbered in this order."""
LIMITS: Final = (
    "max-storage-buffers-per-shader-stage", "max-storage-buffer-binding-size", "max-buffer-size",
    "max-compute-invocations-per-workgroup", "max-compute-workgroup-size-x",
    "max-compute-workgroup-storage-size", "min-uniform-buffer-offset-alignment",
)
"""What a device is asked for as far as its adapter goes; the rest stays at WebGPU's defaults."""


def selected() -> list[Any]:
    """The adapters, GPUs first; none where no driver is installed."""
    wanted = os.environ.get("FLAMBEAU_WGPU_ADAPTER", "").lower()
    found = [a for a in wgpu.gpu.enumerate_adapters_sync() if wanted in a.summary.lower()]
    return sorted(found, key=lambda a: KINDS.index(a.info["adapter_type"])
                  if a.info["adapter_type"] in KINDS else len(KINDS))


def opened(adapter: Any) -> Any:
    """A device with as much as the adapter gives of what kernels need."""
    return adapter.request_device_sync(
        required_limits={name: adapter.limits[name] for name in LIMITS})
