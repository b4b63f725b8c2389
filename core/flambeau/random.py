"""Seeds, states and generators of random numbers.

All numbers are drawn on the host and moved to the device of the tensor that they are for, so a
seed gives the same numbers on every device: those of PyTorch's CPU generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from flambeau import dtypes, rng
from flambeau.construct import from_numpy
from flambeau.device import CPU
from flambeau.device import device as Device
from flambeau.interop import host_array
from flambeau.tensor import Tensor

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


class Generator(rng.Generator):
    """A stream of random numbers of its own, given to functions as ``generator=``.

    Args:
        device: what ``.device`` reports.  The numbers are those of the host in any case, and
            the generator serves tensors of every device.
    """

    __slots__ = ()
    device: Device

    def __init__(self, device: Any = CPU) -> None:
        super().__init__(Device(device))

    def get_state(self) -> Tensor:
        """The state as a uint8 tensor of 5056 elements, in the format of PyTorch's CPU."""
        return from_numpy(self.state_bytes())

    def set_state(self, new_state: Tensor) -> None:
        """Go on from a state that ``get_state()``, here or in PyTorch, gave.

        Raises:
            TypeError: if it is no uint8 tensor.
            RuntimeError: if it has another size, or is no state.
        """
        if not isinstance(new_state, Tensor) or new_state.dtype is not dtypes.uint8:
            raise TypeError("RNG state must be a flambeau.ByteTensor")
        self.load_state_bytes(np.ascontiguousarray(host_array(new_state)))

    def __repr__(self) -> str:
        return f"<flambeau.Generator object at {id(self):#x}>"


default_generator: Final = Generator.unseeded()
"""Where functions draw from when they are given no generator."""


def manual_seed(seed: int) -> Generator:
    """Start the default generator at a seed, in [-2**63, 2**64), and return it."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator from the operating system; returns the 64-bit seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the default generator to one that ``get_rng_state()`` gave."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None, enabled: bool = True, device_type: str = "cpu"
) -> Iterator[None]:
    """Give the default generator its state back when the ``with`` block ends.

    Args:
        devices: for PyTorch's sake; there is one stream for all devices.
        enabled: whether anything is done.
        device_type: likewise without effect.
    """
    if not enabled:
        yield
        return
    before = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(before)
