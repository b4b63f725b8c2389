"""Random numbers in C: the samplers that ``flambeau.rng.host`` asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from flambeau_cpu.native.library import Library

_library = Library("random", {
    "fb_uniform": "paiidd", "fb_normal": "paiidd", "fb_normal_pairs": "pai",
    "fb_exponential": "paiid", "fb_below": "paii", "fb_below_each": "paaii",
    "fb_integers": "paiiiii", "fb_permutation": "pai",
})
_rejection = Library("rejection", {
    "fb_gamma": "paaaaai", "fb_poisson": "paai", "fb_binomial": "paai",
})
_CODES: Final = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}  # of half.h


def find() -> Mapping[str, Callable[..., bool]]:
    """The samplers; none without a compiler."""
    c = _library()
    return {} if c is None else {**_samplers(c), "gamma": gamma, "poisson": poisson,
                                 "binomial": binomial}


def gamma(address: int, out: Any, alpha: Any, power: Any, d: Any, spare: Any) -> bool:
    """Gamma numbers; ``spare`` is where a second normal number is and stays."""
    c = _rejection()
    if c is not None:
        c.fb_gamma(address, out, alpha, power, d, spare, out.size)
    return c is not None


def poisson(address: int, out: Any, rates: Any) -> bool:
    """Poisson numbers of some rates."""
    c = _rejection()
    if c is not None:
        c.fb_poisson(address, out, rates, out.size)
    return c is not None


def binomial(address: int, out: Any, plan: Any) -> bool:
    """Numbers of successes by the rows of a plan."""
    c = _rejection()
    if c is not None:
        c.fb_binomial(address, out, plan, out.size)
    return c is not None


def _samplers(c: Any) -> Mapping[str, Callable[..., bool]]:
    def uniform(address: int, out: Any, name: str, low: float, high: float) -> bool:
        c.fb_uniform(address, out, out.size, _CODES[name], low, high)
        return True

    def normal(address: int, out: Any, name: str, mean: float, std: float) -> bool:
        c.fb_normal(address, out, out.size, _CODES[name], mean, std)
        return True

    def normal_pairs(address: int, out: Any) -> bool:
        c.fb_normal_pairs(address, out, out.size)
        return True

    def exponential(address: int, out: Any, name: str, factor: float) -> bool:
        c.fb_exponential(address, out, out.size, _CODES[name], factor)
        return True

    def below(address: int, out: Any, limit: int) -> bool:
        c.fb_below(address, out, out.size, limit)
        return True

    def below_each(address: int, out: Any, chances: Any) -> bool:
        if not chances.flags.c_contiguous:
            return False
        c.fb_below_each(address, out, chances, out.size, _CODES[chances.dtype.name])
        return True

    def integers(address: int, out: Any, span: int, offset: int, is_wide: bool) -> bool:
        span = (span + 2**63) % 2**64 - 2**63  # as a signed number with the same bits
        c.fb_integers(address, out, out.size, out.itemsize, span, offset, is_wide)
        return True

    def permutation(address: int, out: Any) -> bool:
        c.fb_permutation(address, out, out.size)
        return True

    return {f.__name__: f for f in (
        uniform, normal, normal_pairs, exponential, below, below_each, integers, permutation)}
