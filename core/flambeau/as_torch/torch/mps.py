"""``torch.mps``: the device ``"mps"``, or the one that its name is mapped to."""

from flambeau.as_torch.device_module import DeviceModule

globals().update(DeviceModule("mps").names())


def current_allocated_memory() -> int:
    """Bytes of memory in use by tensors."""
    return DeviceModule("mps").memory_allocated()
