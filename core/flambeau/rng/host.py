"""Faster ways to draw, which the backend of the host may have.

A sampler is ``sampler(address, out, *arguments)``: it fills a row-major array from the state at
an address (624 words of 32 bits and the position, NumPy's ``mt19937_state``) and leaves the state
as the functions of this package would.  It answers whether it has: what it declines is drawn
here.  The numbers are the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flambeau.rng.types import Array

if TYPE_CHECKING:
    from flambeau.rng.engine import Generator

_found: dict[str, Callable[..., bool]] = {}
_FEWEST: Final = 4


def look() -> bool:
    """Ask the backend of the host for samplers, once; whether there are any."""
    if not _found:
        from flambeau.plugins import backend_for

        samplers: Mapping[str, Callable[..., bool]] = backend_for("cpu").samplers()
        _found.update(samplers)
    return bool(_found)


def pays(n: int) -> bool:
    """Whether a sampler is faster than Python for so many numbers."""
    return n > _FEWEST and bool(_found)


def fill(name: str, generator: Generator, out: Array, *arguments: Any) -> bool:
    """Fill an array by a sampler, if there is one that does; takes the lock."""
    with generator.lock:
        address = generator.address()  # looks for samplers when it is first asked
        sampler = _found.get(name)
        if sampler is None or not address:
            return False
        with generator.bit_lock:  # single words are drawn under this one alone
            return sampler(address, out, *arguments)
