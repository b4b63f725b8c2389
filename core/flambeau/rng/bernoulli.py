"""Coin flips (PyTorch's ``bernoulli_distribution``); dropout masks are made of them."""

from __future__ import annotations

import math

import numpy as np

from flambeau.rng import few, host
from flambeau.rng.elements import FLOATING, require
from flambeau.rng.engine import Generator
from flambeau.rng.types import Array, Mask, Shape, chunks, count
from flambeau.rng.uniform import unit32, unit64


def bernoulli_scalar(generator: Generator, shape: Shape, p: float) -> Mask:
    """Booleans that are true with chance ``p``, as ``Tensor.bernoulli_(p)`` for every dtype.

    One float64 uniform each is compared with ``p``; ``p=0`` and ``p=1`` draw too.

    Raises:
        RuntimeError: ``p`` is not in [0, 1].
    """
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    if count(shape) <= few.FEW and not host.pays(count(shape)):
        return np.array(few.below(generator, count(shape), p), np.bool_).reshape(shape)
    out = np.empty(count(shape), np.bool_)
    # k * 2**-53 < p, for an integer k, without forming the uniform.
    limit = np.uint64(math.ceil(p * 2.0**53))
    if host.fill("below", generator, out, int(limit)):
        return out.reshape(shape)
    with generator.lock:
        for part in chunks(out.size):
            words = generator.double_words(part.stop - part.start)
            words &= np.uint64(2**53 - 1)
            np.less(words, limit, out=out[part])
    return out.reshape(shape)


def bernoulli_probs(generator: Generator, probs: Array) -> Mask:
    """Booleans of which each is true with the chance given for it, as ``torch.bernoulli(probs)``.

    A float64 probability is compared with a float64 uniform, any other with a float32 one.

    Args:
        probs: chances of a floating dtype, in the order in which memory holds them.

    Raises:
        NotImplementedError: ``probs`` is not floating.
        RuntimeError: a probability is not in [0, 1].
    """
    require("bernoulli", probs.dtype.name, FLOATING)
    flat = probs.reshape(-1)
    if not np.all((flat >= 0) & (flat <= 1)):
        raise RuntimeError("bernoulli expects every probability to be in [0, 1]")
    double = probs.dtype == np.float64
    out = np.empty(flat.size, np.bool_)
    if host.fill("below_each", generator, out, flat):
        return out.reshape(probs.shape)
    with generator.lock:
        for part in chunks(flat.size):
            n = part.stop - part.start
            if double:
                out[part] = unit64(generator, n) < flat[part]
            else:
                out[part] = unit32(generator, n) < flat[part].astype(np.float32)
    return out.reshape(probs.shape)
