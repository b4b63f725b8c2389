"""Binomial numbers (PyTorch's ``sample_binomial``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flambeau.rng import few
from flambeau.rng.elements import FLOATING, HALF, cast, require
from flambeau.rng.engine import Generator
from flambeau.rng.libm import log
from flambeau.rng.types import Array

_ENOUGH = 10.0  # from so many expected successes on, the number of uniforms does not grow


def binomial(generator: Generator, counts: Array, probs: Array) -> Array:
    """Numbers of successes among ``counts`` trials of chance ``probs``, as ``torch.binomial``.

    Few expected successes: trials are skipped by geometric numbers.  Many: transformed rejection
    (Hörmann, 1993, algorithm BTRS).  For chances above 1/2 failures are counted.

    Args:
        counts: of a floating dtype, in the order in which memory holds them.
        probs: of the same shape and dtype.

    Raises:
        NotImplementedError: ``counts`` is not floating.
    """
    name = counts.dtype.name
    require("binomial", name, FLOATING)
    held: Any = np.float32 if name in HALF else counts.dtype.type
    with generator.lock:
        drawn = [
            _number(generator, held(n), held(p))
            for n, p in zip(counts.ravel(), probs.ravel(), strict=True)
        ]
    return cast(np.array(drawn, np.float64), name).reshape(counts.shape)


def _number(generator: Generator, n: Any, p: Any) -> float:
    """One number; ``n`` and ``p`` are NumPy scalars of the dtype that PyTorch computes in."""
    if n <= 0.0 or p <= 0.0:
        return 0.0
    if p >= 1.0:
        return float(n)
    if p <= 0.5:
        return _successes(generator, n, p)
    if p > 0.5:
        return float(n) - _successes(generator, n, type(p)(1.0 - float(p)))
    return math.nan


def _successes(generator: Generator, n: Any, p: Any) -> float:
    return (_by_rejection if n * p >= _ENOUGH else _by_skipping)(generator, n, p)


def _by_skipping(generator: Generator, n: Any, p: Any) -> float:
    log_of_failure = float(np.log1p(-p))
    trials, successes = 0.0, 0.0
    while True:
        trials += math.ceil(log(few.unit64(generator, 1)[0]) / log_of_failure)
        if trials > n:
            return successes
        successes += 1.0


def _by_rejection(generator: Generator, n: Any, p: Any) -> float:
    deviation = float(np.sqrt(n * p * (1 - p)))
    ratio = float(p / (1 - p))
    most_likely = math.floor(float((n + 1) * p))
    count, chance, centre = float(n), float(p), float(n * p) + 0.5
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    squeeze = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * deviation
    while True:
        u = few.unit64(generator, 1)[0] - 0.5
        v = few.unit64(generator, 1)[0]
        distance = 0.5 - abs(u)
        k = math.floor((2 * a / distance + b) * u + centre) if distance else -1
        if k < 0 or k > count:
            continue
        if distance >= 0.07 and v <= squeeze:
            return float(k)
        bound = _log_ratio(count, ratio, most_likely, k)
        if log(v * alpha / (a / (distance * distance) + b)) <= bound:
            return float(k)


def _log_ratio(n: float, ratio: float, mode: float, k: float) -> float:
    """The logarithm of the chance of ``k`` successes over that of the most likely number."""
    return (
        (mode + 0.5) * log((mode + 1) / (ratio * (n - mode + 1)))
        + (n + 1) * log((n - mode + 1) / (n - k + 1))
        + (k + 0.5) * log(ratio * (n - k + 1) / (k + 1))
        + _stirling_rest(mode) + _stirling_rest(n - mode)
        - _stirling_rest(k) - _stirling_rest(n - k)
    )


def _stirling_rest(k: float) -> float:
    """``log(k!)`` less Stirling's approximation in ``k + 1`` (DLMF 5.11.1)."""
    after = k + 1.0
    if k < 10:
        leading = (k + 0.5) * math.log(after) - after + 0.5 * math.log(2.0 * math.pi)
        return math.lgamma(after) - leading
    square = after * after
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / after
