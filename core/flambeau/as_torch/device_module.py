"""The functions that PyTorch has once per kind of device: ``torch.cuda``, ``torch.mps``, ...

They answer for the device type of that name, or for the one that it is mapped to.  Work on a device
is one queue here, so streams order nothing further, and the stream of random numbers is one for
all devices.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import flambeau as fb
from flambeau.backend import Backend
from flambeau.device import aliases
from flambeau.plugins import backend_for

Where = fb.device | int | str | None


class Properties(NamedTuple):
    """What ``get_device_properties`` gives."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


class DeviceModule:
    """Queries and switches of one device type.

    Args:
        type: what the program calls it; it need not be installed.
    """

    def __init__(self, type: str) -> None:
        self.type = type

    # ---- what is there -------------------------------------------------------------------------
    def _backend(self) -> Backend:
        return backend_for(aliases.get(self.type, self.type))

    def is_available(self) -> bool:
        """Whether there is such a device, or one that its name is mapped to."""
        return self.device_count() > 0

    def device_count(self) -> int:
        """How many there are."""
        try:
            return self._backend().device_count()
        except RuntimeError:  # not installed, or broken: `flambeau doctor` says which
            return 0

    def current_device(self) -> int:
        """The index that a device without one means."""
        return self._backend().current_device()

    def set_device(self, device: Where) -> None:
        """Accept the current device.

        Raises:
            RuntimeError: for another one: name it in the device string.
        """
        index = self._index(device)
        if index != self.current_device():
            raise RuntimeError(
                f"{self.type}.set_device({device}): the current device is "
                f"{self.current_device()}; place tensors by name: device='{self.type}:{index}'")

    def _index(self, device: Where) -> int:
        if device is None:
            return self.current_device()
        index = device if isinstance(device, int) else fb.device(device).index
        return self.current_device() if index is None else index

    def _info(self, device: Where) -> dict[str, str]:
        return self._backend().device_info(self._index(device))

    def get_device_name(self, device: Where = None) -> str:
        """The name that its driver tells."""
        return self._info(device).get("name", self.type)

    def get_device_properties(self, device: Where = None) -> Properties:
        """Name, version, bytes of memory and processors; 0 where the backend does not say."""
        info = self._info(device)
        major, _, minor = info.get("compute_capability", "0.0").partition(".")
        return Properties(
            self.get_device_name(device), int(major or 0), int(minor or 0),
            int(info.get("memory", 0) or 0), int(info.get("multiprocessors", 0) or 0))

    def get_device_capability(self, device: Where = None) -> tuple[int, int]:
        """Major and minor version of the device; (0, 0) where the backend does not say."""
        found = self.get_device_properties(device)
        return found.major, found.minor

    def is_bf16_supported(self, including_emulation: bool = True) -> bool:
        """Whether tensors of bfloat16 can be made there."""
        return fb.bfloat16 in self._backend().capabilities(self.current_device()).dtypes

    def is_initialized(self) -> bool:
        """Whether it can be used: nothing needs to be started."""
        return self.is_available()

    def init(self) -> None:
        """Nothing: backends start when they are first used."""

    # ---- work and memory -----------------------------------------------------------------------
    def synchronize(self, device: Where = None) -> None:
        """Wait until all work on the device is done."""
        self._backend().synchronize(self._index(device))

    def empty_cache(self) -> None:
        """Give the memory that no tensor uses back to the system."""
        if self.is_available():
            self._backend().empty_cache()

    def ipc_collect(self) -> None:
        """Nothing: no memory is shared between processes."""

    def memory_stats(self, device: Where = None) -> dict[str, int]:
        """Counts of the backend's pool; see ``Backend.memory_stats``."""
        return self._backend().memory_stats(self._index(device)) if self.is_available() else {}

    def memory_allocated(self, device: Where = None) -> int:
        """Bytes of memory in use by tensors; 0 if the backend does not count."""
        return self.memory_stats(device).get("allocated", 0)

    def max_memory_allocated(self, device: Where = None) -> int:
        """The most bytes that were in use at a time."""
        return self.memory_stats(device).get("peak_allocated", 0)

    def memory_reserved(self, device: Where = None) -> int:
        """Bytes in use or kept for later."""
        return self.memory_stats(device).get("reserved", 0)

    def reset_peak_memory_stats(self, device: Where = None) -> None:
        """Count ``max_memory_allocated`` from now on."""
        if self.is_available():
            self._backend().reset_peak_memory_stats(self._index(device))

    def memory_summary(self, device: Where = None, abbreviated: bool = False) -> str:
        """The counts, one per line."""
        return "\n".join(f"{name}: {count}" for name, count in self.memory_stats(device).items())

    # ---- random numbers ------------------------------------------------------------------------
    def manual_seed(self, seed: int) -> None:
        """Seed the one stream of random numbers, if there is such a device and it is not the CPU.

        Without the device nothing is done, as in PyTorch: what the CPU draws stays the same.
        """
        if self.is_available() and aliases.get(self.type, self.type) != "cpu":
            fb.manual_seed(seed)

    def get_rng_state(self, device: Where = None) -> fb.Tensor:
        """The state of the one stream."""
        return fb.get_rng_state()

    def get_rng_state_all(self) -> list[fb.Tensor]:
        """The state of the one stream, per device."""
        return [fb.get_rng_state() for _ in range(self.device_count())]

    def set_rng_state(self, new_state: fb.Tensor, device: Where = None) -> None:
        """Set the state of the one stream."""
        fb.set_rng_state(new_state)

    def set_rng_state_all(self, new_states: list[fb.Tensor]) -> None:
        """Set the state of the one stream."""
        for state in new_states:
            fb.set_rng_state(state)

    # ---- streams -------------------------------------------------------------------------------
    def current_stream(self, device: Where = None) -> Stream:
        """The one queue of the device."""
        return Stream(self)

    def stream(self, stream: Any) -> AbstractContextManager[None]:
        """A block; there is one queue, so it changes nothing."""
        return nullcontext()

    def device(self, device: Where) -> AbstractContextManager[None]:
        """A block in which the device is the current one; only the current one is accepted."""
        if device is not None and self.is_available():
            self.set_device(device)
        return nullcontext()

    def names(self) -> dict[str, Any]:
        """Everything above by PyTorch's names, for a module's namespace."""
        public = [n for n in dir(self) if not n.startswith("_") and n not in ("names", "type")]
        found: dict[str, Any] = {name: getattr(self, name) for name in public}
        found.update(
            manual_seed_all=self.manual_seed, default_stream=self.current_stream,
            max_memory_reserved=self.memory_reserved, memory_cached=self.memory_reserved,
            reset_max_memory_allocated=self.reset_peak_memory_stats,
            initial_seed=fb.initial_seed, seed=fb.seed, seed_all=fb.seed,
            Stream=_bound(Stream, self), Event=_bound(Event, self),
        )
        return found


def _bound(cls: type[Any], module: DeviceModule) -> type[Any]:
    """The class with the module as its first argument."""

    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__(self, module, *args, **kwargs)

    return type(cls.__name__, (cls,), {"__init__": start, "__doc__": cls.__doc__})


class Stream:
    """The one queue of a device."""

    def __init__(self, module: DeviceModule, device: Where = None, priority: int = 0) -> None:
        self._module, self.device, self.priority = module, device, priority

    def synchronize(self) -> None:
        """Wait until all work is done."""
        self._module.synchronize(self.device)

    def query(self) -> bool:
        """Whether all work is done: it is, once waited for."""
        self.synchronize()
        return True

    def wait_stream(self, stream: Any) -> None:
        """Nothing: there is one queue."""

    def wait_event(self, event: Any) -> None:
        """Nothing: there is one queue."""

    def record_event(self, event: Event | None = None) -> Event:
        """An event at the end of the work so far."""
        found = Event(self._module) if event is None else event
        found.record()
        return found

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Event:
    """A moment of a device's work, taken on the host after the work before it is done."""

    def __init__(
        self, module: DeviceModule, enable_timing: bool = False, blocking: bool = False,
        interprocess: bool = False,
    ) -> None:
        self._module, self._time = module, None if not enable_timing else 0.0

    def record(self, stream: Any = None) -> None:
        """Take the moment."""
        self._module.synchronize()
        self._time = time.perf_counter()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another."""
        if self._time is None or end_event._time is None:
            raise RuntimeError(
                "Both events must be created with argument 'enable_timing=True' and recorded")
        return (end_event._time - self._time) * 1e3

    def synchronize(self) -> None:
        """Nothing: it was waited for when it was recorded."""

    def query(self) -> bool:
        """True: it was waited for when it was recorded."""
        return True

    def wait(self, stream: Any = None) -> None:
        """Nothing: there is one queue."""
