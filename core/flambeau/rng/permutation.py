"""Random permutations (PyTorch's ``randperm_cpu``)."""

from __future__ import annotations

from typing import Final

import numpy as np

from flambeau.rng import few, host
from flambeau.rng.elements import DIGITS, FLOATING, INTEGRAL_RANGE, cast, numpy_dtype, require
from flambeau.rng.engine import Generator
from flambeau.rng.types import I64, Array, chunks

_LONG: Final = (2**32 - 1) // 20  # from here on PyTorch shuffles in another way

_INTEGRAL: Final = ("uint8", "int8", "int16", "int32", "int64")
_MOST: Final = {
    **{name: INTEGRAL_RANGE[name][1] + 1 for name in _INTEGRAL},
    **{name: 2 ** DIGITS[name] + 1 for name in FLOATING},
    "bfloat16": 2**63,  # PyTorch lets it repeat values
}


def randperm(generator: Generator, n: int, dtype_name: str = "int64") -> Array:
    """A random permutation of ``0..n-1``, as ``torch.randperm``.

    From 214 748 364 elements on it takes minutes: it is then made one element at a time.

    Raises:
        NotImplementedError: ``dtype_name`` is bool or complex.
        RuntimeError: ``n`` is negative or the dtype does not tell the values apart.
    """
    require("randperm", dtype_name, _MOST)
    if n < 0:
        raise RuntimeError(f"randperm expects n >= 0, but got n={n}")
    if n > _MOST[dtype_name]:
        raise RuntimeError(
            f"n cannot be greater than {_MOST[dtype_name]} for randperm of {dtype_name}, got n={n}"
        )
    if n <= few.FEW and not host.pays(n):
        return np.array(few.permutation(generator, n), numpy_dtype(dtype_name))
    shuffled = np.empty(n, np.int64)
    if n < _LONG and host.fill("permutation", generator, shuffled):
        return cast(shuffled, dtype_name)
    order = _apply(_exchanges(generator, n)) if n < _LONG else _inside_out(generator, n)
    return cast(order, dtype_name)


def _exchanges(generator: Generator, n: int) -> I64:
    """For each place ``i``, the place in ``i..n-1`` that the forward shuffle swaps it with."""
    partner = np.arange(n)
    if n < 2:
        return partner
    last = n - 1  # has nothing left to swap with, and no word is drawn for it
    with generator.lock:
        for part in chunks(last):
            words = generator.words(part.stop - part.start).astype(np.uint32)
            words %= np.arange(n - part.start, n - part.stop, -1, dtype=np.uint32)
            partner[part] += words
    return partner


def _apply(partner: I64) -> I64:
    """What ``for i in range(n): swap(a[i], a[partner[i]])`` makes of ``a = range(n)``.

    Swap ``i`` puts into its final place what lies at ``partner[i]``: what the last earlier swap
    with the same partner left there, or the untouched ``partner[i]``.  Swap ``t`` leaves behind
    what lay at place ``t``: what the last swap with partner ``t`` left there, and so on back to
    an untouched place.  So every value is found at the end of a chain, and chains are followed
    all at once by doubling: no loop over the elements.
    """
    n = partner.size
    bits = np.uint64(n.bit_length())
    swap = np.arange(n)
    origin = np.arange(n)  # what swap t leaves behind, at first as the preceding link
    moved = partner > swap
    origin[partner[moved]] = swap[moved]  # the last of several assignments stays
    while not np.array_equal(further := origin[origin], origin):
        origin = further
    # Sorted by (partner, swap), neighbours with one partner are consecutive swaps with it.
    key = (partner.astype(np.uint64) << bits) | swap.astype(np.uint64)
    key = key.astype(np.uint32) if 2 * n.bit_length() <= 32 else key
    key.sort()
    of, by = key >> bits, (key & ((np.uint64(1) << bits) - 1)).astype(np.int64)
    again = np.flatnonzero(of[1:] == of[:-1])
    result = partner.copy()
    result[by[again + 1]] = origin[by[again]]
    return result


def _inside_out(generator: Generator, n: int) -> I64:
    """A shuffle that grows from the front, from 64-bit words."""
    order = np.empty(n, np.int64)
    values = order.data  # items of a memoryview are faster to reach than those of an array
    with generator.lock:
        for part in chunks(n):
            words = generator.double_words(part.stop - part.start)
            words %= np.arange(part.start + 1, part.stop + 1, dtype=np.uint64)
            for i, j in enumerate(words.tolist(), part.start):
                values[i] = values[j]
                values[j] = i
    return order
