"""``torch.backends.mps``."""

from flambeau.as_torch.device_module import DeviceModule

is_available = DeviceModule("mps").is_available


def is_built() -> bool:
    """Whether there is such a device: no build lacks what another has."""
    return is_available()


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Whether there is such a device."""
    return is_available()
