"""Uniform numbers (PyTorch's ``uniform_real_distribution`` and ``uniform_kernel``)."""

from __future__ import annotations

from typing import Final

import numpy as np

from flambeau.rng import few, host
from flambeau.rng.elements import FLOATING, HALF, HIGHEST, REAL_OF, cast, numpy_dtype, require
from flambeau.rng.engine import Generator
from flambeau.rng.fma import fma32_array, fma64
from flambeau.rng.types import F32, F64, Array, Shape, chunks, count

_DIRECT: Final = {"float32": (few.unit32, np.float32), "float64": (few.unit64, np.float64)}


def unit32(generator: Generator, n: int) -> F32:
    """``n`` float32 in [0, 1), 24 bits of one word each; the caller holds the lock."""
    words = generator.words(n)
    words &= np.uint64(0xFFFFFF)
    unit = words.view(np.int64).astype(np.float32)
    unit *= np.float32(2.0**-24)
    return unit


def unit64(generator: Generator, n: int) -> F64:
    """``n`` float64 in [0, 1), 53 bits of two words each; the caller holds the lock."""
    words = generator.double_words(n)
    words &= np.uint64(2**53 - 1)
    unit = words.view(np.int64).astype(np.float64)
    unit *= 2.0**-53
    return unit


def all_unit64(generator: Generator, n: int) -> F64:
    """:func:`unit64` for any ``n``, made chunk by chunk; takes the lock."""
    out = np.empty(n, np.float64)
    if host.fill("uniform", generator, out, "float64", 0.0, 1.0):
        return out
    with generator.lock:
        for part in chunks(n):
            out[part] = unit64(generator, part.stop - part.start)
    return out


def uniform(
    generator: Generator, shape: Shape, dtype_name: str, low: float = 0.0, high: float = 1.0
) -> Array:
    """Numbers uniform in [low, high), as ``Tensor.uniform_``.

    Half types are computed in float32 and rounded; a value that rounds up to ``high`` becomes
    ``low``.  Complex types take real and imaginary parts in turn.

    Raises:
        NotImplementedError: ``dtype_name`` is neither floating nor complex.
        RuntimeError: ``low > high``, or a bound or their difference is too large for the dtype.
    """
    n = count(shape)
    if n <= few.FEW and not host.pays(n) and (
        low == 0.0 and high == 1.0 and dtype_name in _DIRECT
    ):
        draw, held = _DIRECT[dtype_name]
        return np.array(draw(generator, n), held).reshape(shape)
    name = REAL_OF.get(dtype_name, dtype_name)
    require("uniform_", name, FLOATING)
    _check_bounds(low, high, name)
    dtype = numpy_dtype(dtype_name)
    out = np.empty(n, dtype)
    parts = out.view(numpy_dtype(name))
    if host.fill("uniform", generator, parts, name, low, high):
        return out.reshape(shape)
    with generator.lock:
        for part in chunks(parts.size):
            parts[part] = _uniform(generator, part.stop - part.start, name, low, high)
    return out.reshape(shape)


def _uniform(generator: Generator, n: int, name: str, low: float, high: float) -> Array:
    value: Array
    if name == "float64":
        value = unit64(generator, n)
        if (low, high) != (0.0, 1.0):
            value = fma64(value, high - low, low)
    else:
        value = unit32(generator, n)
        if (low, high) != (0.0, 1.0):
            start, stop = np.float32(low), np.float32(high)
            value = fma32_array(value, float(stop - start), float(start))
        value = cast(value, name)
    if (low, high) != (0.0, 1.0) or name in HALF:
        first, end = cast(np.array([low, high]), name)
        value[value == end] = first
    return value


def _check_bounds(low: float, high: float, name: str) -> None:
    highest = HIGHEST[name]
    for label, bound in (("from", low), ("to", high)):
        if not -highest <= bound <= highest:
            raise RuntimeError(f"uniform_: {label}={bound} is out of bounds for {name}")
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    if high - low > highest:
        raise RuntimeError(
            f"uniform_ expects to-from <= {highest}, the largest {name}, "
            f"but found to={high} and from={low}"
        )
