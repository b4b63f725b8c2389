"""A few numbers at a time: plain Python numbers cost less than NumPy's calls on short arrays.

The numbers are those of the other modules, which come here for up to :data:`FEW` elements.
"""

from __future__ import annotations

import math
from math import cos, log1p, sin, sqrt
from typing import Final

from flambeau.rng.engine import Generator

FEW: Final = 32

_HIGH_BITS: Final = 2**21 - 1  # of a double word's 53 bits, those in its first half
_TURN: Final = 2.0 * math.pi * 2.0**-53


def unit32(generator: Generator, n: int) -> list[float]:
    """Numbers in [0, 1) with 24 bits, one word each."""
    if n == 1:
        return [(generator.word() & 0xFFFFFF) * 2.0**-24]
    with generator.lock:
        return [(word & 0xFFFFFF) * 2.0**-24 for word in generator.words(n).tolist()]


def unit64(generator: Generator, n: int) -> list[float]:
    """Numbers in [0, 1) with 53 bits, two words each."""
    return [k * 2.0**-53 for k in _integers53(generator, n)]


def below(generator: Generator, n: int, p: float) -> list[bool]:
    """Whether a 53-bit number in [0, 1) is below ``p``."""
    limit = math.ceil(p * 2.0**53)
    return [k < limit for k in _integers53(generator, n)]


def _integers53(generator: Generator, n: int) -> list[int]:
    with generator.lock:
        words = generator.words(2 * n).tolist()
    return [
        (high & _HIGH_BITS) << 32 | low for high, low in zip(words[::2], words[1::2], strict=True)
    ]


def integers(generator: Generator, n: int, start: int, span: int, wide: bool) -> list[int]:
    """``start`` plus a word modulo ``span``, of 64 bits if ``wide``."""
    if n == 1 and not wide:
        return [start + generator.word() % span]
    with generator.lock:
        words = generator.words(2 * n if wide else n).tolist()
    if wide:
        words = [high << 32 | low for high, low in zip(words[::2], words[1::2], strict=True)]
    return [start + word % span for word in words]


def normals(generator: Generator, n: int) -> list[float]:
    """Standard normals in float64, one after the other, of which an odd one may be left over."""
    if not n:
        return []
    with generator.lock:
        out = [] if generator.next_normal is None else [generator.next_normal]
        words = iter(generator.words((n - len(out) + 1) // 2 * 4).tolist())
        for high1, low1, high2, low2 in zip(words, words, words, words, strict=True):
            angle = ((high1 & _HIGH_BITS) << 32 | low1) * _TURN
            u = ((high2 & _HIGH_BITS) << 32 | low2) * 2.0**-53
            radius = sqrt(-2.0 * log1p(-u))
            out.append(radius * cos(angle) + 0.0)  # the addition makes -0 a +0
            out.append(radius * sin(angle) + 0.0)
        generator.next_normal = out.pop() if len(out) > n else None
    return out


def fused(values: list[float], factor: float, summand: float) -> list[float]:
    """``value * factor + summand``, each rounded once: Python divides integers so.

    Raises:
        OverflowError: where the result is beyond the largest float.
    """
    (a, a_under), (b, b_under) = factor.as_integer_ratio(), summand.as_integer_ratio()
    out = []
    for value in values:
        v, v_under = value.as_integer_ratio()
        under = v_under * a_under
        out.append((v * a * b_under + b * under) / (under * b_under))
    return out


def permutation(generator: Generator, n: int) -> list[int]:
    """The integers below ``n`` in random order."""
    order = list(range(n))
    if n > 1:
        with generator.lock:
            words = generator.words(n - 1).tolist()
        for i, word in enumerate(words):
            j = i + word % (n - i)
            order[i], order[j] = order[j], order[i]
    return order
