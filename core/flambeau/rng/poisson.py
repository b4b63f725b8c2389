"""Poisson numbers (PyTorch's ``sample_poisson``)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from flambeau.rng import host
from flambeau.rng.elements import FLOATING, cast, require
from flambeau.rng.engine import Generator
from flambeau.rng.libm import log
from flambeau.rng.types import Array

_LARGE = 10.0  # from this rate on the number of uniforms does not grow with the rate


def poisson(generator: Generator, rates: Array) -> Array:
    """Poisson numbers of the rates given, as ``torch.poisson``.

    Small rates: the number of uniforms whose product stays above ``exp(-rate)`` (Knuth).  Large
    ones: transformed rejection with squeeze (Hörmann, 1993, algorithm PTRS).

    Args:
        rates: of a floating dtype, in the order in which memory holds them.

    Returns:
        counts in the shape and dtype of the rates.

    Raises:
        NotImplementedError: ``rates`` is not floating.
        RuntimeError: a rate is negative, infinite or NaN.
    """
    require("poisson", rates.dtype.name, FLOATING)
    if not np.all((rates >= 0) & np.isfinite(rates)):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative and finite")
    given = rates.astype(np.float64).ravel()
    out = np.empty(given.size, np.float64)
    if not host.fill("poisson", generator, out, given):
        with generator.lock:
            out[:] = [_count(generator, rate) for rate in given.tolist()]
    return cast(out, rates.dtype.name).reshape(rates.shape)


def _count(generator: Generator, rate: float) -> int:
    if rate == 0.0:
        return 0

    def uniform() -> float:
        return (int(generator.double_words(1)[0]) & (2**53 - 1)) * 2.0**-53

    return _by_rejection(uniform, rate) if rate >= _LARGE else _by_product(uniform, rate)


def _by_product(uniform: Callable[[], float], rate: float) -> int:
    end, product, count = math.exp(-rate), uniform(), 0
    while product > end:
        product *= uniform()
        count += 1
    return count


def _by_rejection(uniform: Callable[[], float], rate: float) -> int:
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    log_inverse_alpha = math.log(1.1239 + 1.1328 / (b - 3.4))
    squeeze = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = uniform() - 0.5
        v = uniform()
        distance = 0.5 - abs(u)
        count = math.floor((2 * a / distance + b) * u + rate + 0.43) if distance else -1
        if distance >= 0.07 and v <= squeeze:
            return count
        if count < 0 or (distance < 0.013 and v > distance):
            continue
        left = log(v) + log_inverse_alpha - math.log(a / (distance * distance) + b)
        if left <= -rate + count * log_rate - math.lgamma(count + 1.0):
            return count
