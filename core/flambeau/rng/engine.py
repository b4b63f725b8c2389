"""The source of all random numbers: MT19937, as in PyTorch's ``CPUGeneratorImpl``.

The engine is Matsumoto and Nishimura's Mersenne Twister (1998) with 32-bit outputs, which NumPy
has too; the same seed gives the same words in both.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from flambeau.rng import host
from flambeau.rng.state import State, pack, unpack
from flambeau.rng.types import U32, U64

DEFAULT_SEED: Final = 67280421310721  # of a new generator, as in PyTorch


class Generator:
    """A stream of random words with the seeds, states and numbers of ``torch.Generator``.

    A stream belongs to one caller at a time: whoever draws holds ``lock``, which is reentrant.

    Args:
        device: kept as given; the words are always made on the host.
    """

    __slots__ = (
        "__weakref__", "_address", "_bits", "_draw", "_next_float_normal", "_reseed", "_seed",
        "bit_lock", "device", "lock", "next_normal",
    )  # fmt: skip

    next_normal: float | None  # second value of the last Box-Muller pair, see .normal
    bit_lock: Any  # NumPy's own, which is held while a word is drawn; set by the first use
    _address: int
    _bits: np.random.MT19937
    _draw: Callable[..., Any] | None  # None until the first use: numpy.random loads slowly
    _next_float_normal: float | None
    _reseed: Callable[[int], None]
    _seed: int | None  # None: to be taken from the operating system

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self.lock = threading.RLock()
        self.next_normal = self._next_float_normal = None
        self._draw = None
        self._seed = DEFAULT_SEED

    @classmethod
    def unseeded(cls, device: Any = "cpu") -> Self:
        """A generator that takes its seed from the operating system when it is first used."""
        generator = cls(device)
        generator._seed = None
        return generator

    def manual_seed(self, seed: int) -> Self:
        """Start the stream of ``seed`` and return the generator.

        Only the low 32 bits decide the stream, as in PyTorch.

        Args:
            seed: in [-2**63, 2**64); a negative seed stands for ``2**64 + seed``.

        Raises:
            RuntimeError: ``seed`` is no integer.
            ValueError: ``seed`` does not fit.
        """
        number = _seed_number(seed)
        with self.lock:
            self._seed = number
            self.next_normal = self._next_float_normal = None
            if self._draw is not None:
                self._reseed(number & 0xFFFFFFFF)
        return self

    def seed(self) -> int:
        """Seed from the operating system and return the seed, a 64-bit number."""
        return self.manual_seed(_system_seed()).initial_seed()

    def initial_seed(self) -> int:
        """The seed in use."""
        with self.lock:
            if self._seed is None:
                self._seed = _system_seed()
            return self._seed

    def state_bytes(self) -> npt.NDArray[np.uint8]:
        """The state in PyTorch's format: 5056 bytes that ``torch.Generator.set_state`` takes."""
        with self.lock:
            self._start()
            state = self._bits.state["state"]
            return pack(State(
                self.initial_seed(), state["key"], int(state["pos"]),
                self.next_normal, self._next_float_normal,
            ))  # fmt: skip

    def load_state_bytes(self, state: npt.NDArray[np.uint8]) -> None:
        """Go on from a state that :meth:`state_bytes` or PyTorch gave.

        Raises:
            TypeError: the array is not of bytes.
            RuntimeError: it has another size, or is no state of a Mersenne Twister.
        """
        found = unpack(state)
        with self.lock:
            self._start()
            self._bits.state = {
                "bit_generator": "MT19937",
                "state": {"key": found.words, "pos": found.position},
            }
            self._seed, self.next_normal = found.seed, found.next_normal
            self._next_float_normal = found.next_float_normal

    def clone_state(self) -> Self:
        """A new generator that goes on as this one would."""
        clone = type(self)(self.device)
        clone.load_state_bytes(self.state_bytes())
        return clone

    def __getstate__(self) -> dict[str, Any]:
        return {"device": self.device, "state": self.state_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Generator.__init__(self, state["device"])
        self.load_state_bytes(state["state"])

    def words(self, n: int) -> U64:
        """The next ``n`` 32-bit words, each in a uint64; the caller holds ``lock``."""
        words: U64 = (self._draw or self._start())(n)
        return words

    def word(self) -> int:
        """The next 32-bit word; needs no lock."""
        word: int = (self._draw or self._start())()
        return word

    def double_words(self, n: int) -> U64:
        """The next ``n`` 64-bit words, the high halves drawn first; the caller holds ``lock``."""
        words = self.words(2 * n)
        high = words[0::2]
        high <<= np.uint64(32)
        return high | words[1::2]

    def address(self) -> int:
        """Where the words and the position are, for samplers of the host; 0 if there are none."""
        if self._draw is None:
            self._start()
        return self._address

    def _start(self) -> Callable[..., Any]:
        with self.lock:
            if self._draw is None:
                self._bits = np.random.MT19937(0)
                self._reseed = np.random.RandomState(self._bits).seed
                self._reseed(self.initial_seed() & 0xFFFFFFFF)
                self.bit_lock = self._bits.lock
                self._address = self._bits.ctypes.state_address if host.look() else 0
                self._draw = self._bits.random_raw
            return self._draw


def random32(generator: Generator, n: int) -> U32:
    """The next ``n`` 32-bit words of the stream."""
    with generator.lock:
        return generator.words(n).astype(np.uint32)


def random64(generator: Generator, n: int) -> U64:
    """The next ``n`` 64-bit words of the stream, two 32-bit words each, the high one first."""
    with generator.lock:
        return generator.double_words(n)


def _system_seed() -> int:
    return int.from_bytes(os.urandom(8), "little")


def _seed_number(seed: int) -> int:
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise RuntimeError(f"manual_seed expected an int, but got {type(seed).__name__}")
    number = operator.index(seed)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"Overflow: seed {number} does not fit in [-2**63, 2**64)")
    return number % 2**64
