"""``torch.accelerator``: the device that programs get when they ask for a fast one."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.as_torch.device_module import DeviceModule
from flambeau.device import aliases

# As PyTorch, one kind: the default device if it is none of these, else the first that is there.
_KNOWN = ("cuda", "mps", "xpu")


def _type() -> str | None:
    chosen = fb.get_default_device().type
    if chosen not in ("cpu", "meta"):
        return chosen
    there = (name for name in _KNOWN if DeviceModule(name).is_available())
    found = next(there, None)
    return None if found is None else aliases.get(found, found)


def is_available() -> bool:
    """Whether there is a device other than the CPU, mapped or by its own name."""
    return _type() is not None


def current_accelerator(check_available: bool = False) -> fb.device | None:
    """That device, without an index."""
    found = _type()
    return None if found is None else fb.device(found)


def device_count() -> int:
    """How many of its kind there are."""
    found = _type()
    return 0 if found is None else DeviceModule(found).device_count()


def _module() -> DeviceModule:
    found = _type()
    if found is None:
        raise RuntimeError("torch.accelerator: there is no device other than the CPU")
    return DeviceModule(found)


def current_device_index() -> int:
    """The index that the device without one means."""
    return _module().current_device()


current_device_idx = current_device_index


def set_device_index(device: Any) -> None:
    """Accept the current device; see ``torch.cuda.set_device``."""
    _module().set_device(device)


set_device_idx = set_device_index


def synchronize(device: Any = None) -> None:
    """Wait until all work is done."""
    _module().synchronize(device)


def current_stream(device: Any = None) -> Any:
    """The one queue of the device."""
    return _module().current_stream(device)


def set_stream(stream: Any) -> None:
    """Nothing: there is one queue."""


def empty_cache() -> None:
    """Give the memory that no tensor uses back to the system."""
    if is_available():
        _module().empty_cache()


def memory_stats(device: Any = None) -> dict[str, int]:
    """Counts of the backend's pool."""
    return _module().memory_stats(device)


def memory_allocated(device: Any = None) -> int:
    """Bytes of memory in use by tensors."""
    return _module().memory_allocated(device)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use at a time."""
    return _module().max_memory_allocated(device)


def memory_reserved(device: Any = None) -> int:
    """Bytes in use or kept for later."""
    return _module().memory_reserved(device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Count ``max_memory_allocated`` from now on."""
    _module().reset_peak_memory_stats(device)
