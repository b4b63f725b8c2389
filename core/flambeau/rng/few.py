"""A few numbers at a time: plain Python numbers cost less than NumPy's calls on short arrays.

The numbers are those of the other modules, which come here for up to :data:`FEW` elements.
"""

from __future__ import annotations

import math
from typing import Final

from flambeau.rng.engine import Generator

FEW: Final = 32


def unit32(generator: Generator, n: int) -> list[float]:
    """Numbers in [0, 1) with 24 bits, one word each."""
    with generator.lock:
        return [(word & 0xFFFFFF) * 2.0**-24 for word in generator.words(n).tolist()]


def unit64(generator: Generator, n: int) -> list[float]:
    """Numbers in [0, 1) with 53 bits, two words each."""
    with generator.lock:
        return [(word & 0x1FFFFFFFFFFFFF) * 2.0**-53 for word in double_words(generator, n)]


def double_words(generator: Generator, n: int) -> list[int]:
    """64-bit words; the caller holds the lock."""
    words = generator.words(2 * n).tolist()
    return [high << 32 | low for high, low in zip(words[::2], words[1::2], strict=True)]


def integers(generator: Generator, n: int, start: int, span: int, wide: bool) -> list[int]:
    """``start`` plus a word modulo ``span``, of 64 bits if ``wide``."""
    with generator.lock:
        words = double_words(generator, n) if wide else generator.words(n).tolist()
    return [start + word % span for word in words]


def below(generator: Generator, n: int, p: float) -> list[bool]:
    """Whether a 53-bit uniform is below ``p``."""
    return [u < p for u in unit64(generator, n)]


def normals(generator: Generator, n: int) -> list[float]:
    """Standard normals in float64, one after the other, of which an odd one may be left over."""
    if not n:
        return []
    with generator.lock:
        held, generator.next_normal = generator.next_normal, None
        out = [] if held is None else [held]
        uniforms = unit64(generator, (n - len(out) + 1) // 2 * 2)
        for u1, u2 in zip(uniforms[::2], uniforms[1::2], strict=True):
            radius, angle = math.sqrt(-2.0 * math.log1p(-u2)), (2.0 * math.pi) * u1
            out.append(radius * math.cos(angle) + 0.0)  # the addition makes -0 a +0
            out.append(radius * math.sin(angle) + 0.0)
        if len(out) > n:
            generator.next_normal = out.pop()
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
