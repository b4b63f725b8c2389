"""What surrounds a computation and must be the same when it is repeated: random numbers, autocast.

Every device draws from the one generator of the host, so one state stands for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from flambeau.amp import autocast_mode
from flambeau.random import get_rng_state, set_rng_state
from flambeau.tensor import Tensor

__all__ = ["DefaultDeviceType", "Surroundings", "get_device_states", "set_device_states"]


class DefaultDeviceType:
    """The type of the devices whose generators are meant if nothing says so."""

    _default = "cpu"

    @staticmethod
    def set_device_type(device: str = "cpu") -> None:
        """Choose the type."""
        DefaultDeviceType._default = device

    @staticmethod
    def get_device_type() -> str:
        """The type: "cpu" unless another was chosen."""
        return DefaultDeviceType._default


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """Indices of the devices, other than the CPU, that tensors are on, and generators' states."""
    indices = sorted({
        a.device.index or 0 for a in args if isinstance(a, Tensor) and a.device.type != "cpu"})
    return indices, [get_rng_state() for _ in indices]


def set_device_states(
    devices: list[int], states: list[Tensor], *, device_type: str | None = None
) -> None:
    """Put generators into the states that :func:`get_device_states` gave."""
    for _, state in zip(devices, states, strict=True):
        set_rng_state(state)


class Surroundings:
    """The generator's state, if it is wanted, and the autocast contexts, as they are now."""

    def __init__(self, preserve_rng_state: bool) -> None:
        self._rng_state = get_rng_state() if preserve_rng_state else None
        self._casts = _casts()

    @contextmanager
    def again(self) -> Iterator[None]:
        """Within the context they are so again."""
        before = get_rng_state() if self._rng_state is not None else None
        if self._rng_state is not None:
            set_rng_state(self._rng_state)
        try:
            with ExitStack() as stack:
                for device in _casts().keys() - self._casts.keys():
                    stack.enter_context(autocast_mode.autocast(device, enabled=False))
                for device, (dtype, enabled, caches) in self._casts.items():
                    stack.enter_context(autocast_mode.autocast(device, dtype, enabled, caches))
                yield
        finally:
            if before is not None:
                set_rng_state(before)


def _casts() -> dict[str, tuple[Any, bool, bool]]:
    """The autocast context of every device type that has one."""
    return {
        c.device: (c.fast_dtype, c._enabled, c._caches) for c in autocast_mode._state.stack}
