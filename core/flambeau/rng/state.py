"""The 5056-byte state of PyTorch's CPU generator (``CPUGeneratorImplState``)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from flambeau.rng.types import U32

STATE_SIZE: Final = 5056
WORDS: Final = 624  # of the Mersenne Twister's state

_LAYOUT: Final = np.dtype(
    {
        "names": [
            "seed", "left", "seeded", "next", "words", "normal_x", "normal_y", "normal_rho",
            "normal_is_valid", "float_normal", "float_normal_is_valid",
        ],
        "formats": [
            "<u8", "<i4", "<i4", "<u8", ("<u8", WORDS), "<f8", "<f8", "<f8", "<i4", "<f4", "u1",
        ],
        "offsets": [0, 8, 12, 16, 24, 5016, 5024, 5032, 5040, 5048, 5052],
        "itemsize": STATE_SIZE,
    }
)  # fmt: skip


class State(NamedTuple):
    """What a CPU generator remembers.

    Attributes:
        seed: the 64-bit seed that ``initial_seed()`` reports.
        words: the 624 words of the Mersenne Twister.
        position: how many of them have been used, 1..624; 624 before the first draw too.
        next_normal: the second value of the last Box-Muller pair, if unused.
        next_float_normal: the same in float32; kept for PyTorch, which reads it on no CPU path.
    """

    seed: int
    words: U32
    position: int
    next_normal: float | None = None
    next_float_normal: float | None = None


def pack(state: State) -> npt.NDArray[np.uint8]:
    """The state as PyTorch stores it."""
    record = np.zeros((), _LAYOUT)
    record["seed"], record["words"], record["seeded"] = state.seed, state.words, 1
    record["left"] = 625 - state.position
    record["next"] = 0 if _is_fresh(state) else state.position
    if state.next_normal is not None:
        record["normal_y"], record["normal_is_valid"] = state.next_normal, 1
    if state.next_float_normal is not None:
        record["float_normal"] = state.next_float_normal
        record["float_normal_is_valid"] = 1
    return np.frombuffer(record.tobytes(), np.uint8).copy()


def unpack(blob: npt.NDArray[np.uint8]) -> State:
    """Read what :func:`pack` or PyTorch wrote.

    Raises:
        TypeError: the array is not of bytes.
        RuntimeError: it has another size, or is no state of a Mersenne Twister.
    """
    if blob.dtype != np.uint8:
        raise TypeError(f"RNG state must be an array of uint8, not of {blob.dtype}")
    if blob.size != STATE_SIZE:
        raise RuntimeError(
            f"Expected a CPU generator state of size {STATE_SIZE} but found the input RNG state "
            f"size to be {blob.size}; a state of another device does not fit a CPU generator"
        )
    record = np.frombuffer(blob.tobytes(), _LAYOUT)[0]
    left, used = int(record["left"]), int(record["next"])
    fresh = left == 1 and used == 0
    if record["seeded"] != 1 or not (fresh or (1 <= left <= WORDS and used == 625 - left)):
        raise RuntimeError(
            f"Invalid mt19937 state: seeded={record['seeded']}, left={left}, next={used}"
        )
    return State(
        seed=int(record["seed"]),
        words=record["words"].astype(np.uint32),
        position=625 - left,
        next_normal=float(record["normal_y"]) if record["normal_is_valid"] else None,
        next_float_normal=(
            float(record["float_normal"]) if record["float_normal_is_valid"] else None
        ),
    )


def _is_fresh(state: State) -> bool:
    """Whether nothing was drawn since seeding: the words still obey the seeding recurrence."""
    first = state.seed & 0xFFFFFFFF
    second = (1812433253 * (first ^ (first >> 30)) + 1) & 0xFFFFFFFF
    head = state.words[:2].tolist()
    return state.position == WORDS and head == [first, second]
