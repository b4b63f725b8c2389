"""Random numbers of the transforms.

Each function makes exactly one call of the generator, of the same kind as torchvision's: with the
same seed a pipeline takes the same crops and flips.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import flambeau as fb


def happens(p: float) -> bool:
    """True with probability ``p``."""
    return bool(fb.rand(1).item() < p)


def uniform(low: float, high: float) -> float:
    """A float32 in [low, high)."""
    return float(fb.empty(1).uniform_(low, high).item())


def integer(low: int, high: int) -> int:
    """An integer in [low, high)."""
    return int(fb.randint(low, high, (1,)).item())


def aspect_ratio(ratio: Sequence[float]) -> float:
    """A width-to-height ratio, uniform on a logarithmic scale, in float32 throughout."""
    low, high = _logarithms(tuple(ratio))
    return float(fb.exp(fb.empty(1).uniform_(low, high)).item())


@functools.lru_cache(maxsize=64)
def _logarithms(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(fb.log(fb.tensor(list(values), dtype=fb.float32)).tolist())
