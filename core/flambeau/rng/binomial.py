"""Binomial numbers (PyTorch's ``sample_binomial``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flambeau.rng import few, host
from flambeau.rng.elements import FLOATING, HALF, cast, require
from flambeau.rng.engine import Generator
from flambeau.rng.libm import log
from flambeau.rng.types import F64, Array

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
    n, p = (x.astype(held).ravel() for x in (counts, probs))
    are_failures = p > 0.5
    rarer = np.where(are_failures, (1.0 - p.astype(np.float64)).astype(held), p)
    plan = _plan(n, rarer)
    out = np.empty(n.size, np.float64)
    if not host.fill("binomial", generator, out, plan):
        with generator.lock:
            out[:] = [_number(generator, *row) for row in plan.tolist()]
    out = np.where(are_failures & (n > 0), n - out, out)
    return cast(np.where(np.isnan(p), math.nan, out), name).reshape(counts.shape)


def _plan(n: Array, p: Array) -> F64:
    """What the numbers are drawn from, a row each: see the arguments of :func:`_number`.

    The arithmetic is in the dtype of ``n`` and ``p``, as PyTorch's is.
    """
    is_certain = ~((n > 0) & (p > 0))
    with np.errstate(all="ignore"):
        is_rare = ~(n * p >= _ENOUGH)
        deviation = np.where(is_rare, 0, np.sqrt(n * p * (1 - p)))
        columns = (
            np.where(is_certain, 0, n), p, np.log1p(-p), deviation, p / (1 - p),
            np.floor(((n + 1) * p).astype(np.float64)), (n * p).astype(np.float64) + 0.5)
    return np.stack([column.astype(np.float64) for column in columns], axis=-1)


def _number(
    generator: Generator, count: float, chance: float, log_of_failure: float, deviation: float,
    ratio: float, mode: float, centre: float,
) -> float:
    """One number of successes.

    Args:
        count: of trials; 0 if the number is certain.
        chance: at most 1/2.
        deviation: the standard one; 0 if few successes are to be expected.
        ratio: the odds.
        mode: the likeliest number.
        centre: the mean and 1/2.
    """
    if count == 0.0:
        return 0.0
    if deviation == 0.0:
        return _by_skipping(generator, count, log_of_failure)
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
        bound = _log_ratio(count, ratio, mode, float(k))
        if log(v * alpha / (a / (distance * distance) + b)) <= bound:
            return float(k)


def _by_skipping(generator: Generator, count: float, log_of_failure: float) -> float:
    trials, successes = 0.0, 0.0
    while True:
        skipped = log(few.unit64(generator, 1)[0]) / log_of_failure
        trials += math.ceil(skipped) if math.isfinite(skipped) else skipped
        if trials > count:
            return successes
        successes += 1.0


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
