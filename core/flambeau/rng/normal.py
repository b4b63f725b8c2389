"""Normal numbers (PyTorch's ``normal_kernel``, ``normal_fill`` and ``normal_distribution``)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from flambeau.rng import few, host
from flambeau.rng.boxmuller import pairs32, pairs64
from flambeau.rng.elements import FLOATING, HALF, REAL_OF, cast, numpy_dtype, require
from flambeau.rng.engine import Generator
from flambeau.rng.fma import fma64
from flambeau.rng.libm import exp, map_libm
from flambeau.rng.types import F64, Array, Shape, count
from flambeau.rng.uniform import all_unit64, unit32, unit64

_CHUNK = 8192  # transformed at a time; the transform's temporaries stay in the cache
BLOCK = 16  # uniforms that the contiguous transform takes at a time: 8 radii, then 8 angles


def normal(
    generator: Generator,
    shape: Shape,
    dtype_name: str,
    mean: float = 0.0,
    std: float = 1.0,
    contiguous: bool = True,
) -> Array:
    """Normal numbers, as ``Tensor.normal_``.

    PyTorch has two algorithms.  A contiguous tensor of 16 elements or more is filled block by
    block; any other takes values one by one, computed in float64, and the unused second value of
    the last pair stays in the generator.  For a complex dtype, ``std**2`` is the sum of the
    variances of the two parts and ``mean`` is added to both.

    Args:
        contiguous: whether the tensor to be filled is contiguous.  If not, the values are in
            the order of its memory.

    Raises:
        NotImplementedError: ``dtype_name`` is neither floating nor complex.
        RuntimeError: ``std`` is negative.
    """
    if dtype_name == "float32" and mean == 0.0 and std == 1.0 and count(shape) < BLOCK:
        return np.array(few.normals(generator, count(shape)), np.float32).reshape(shape)
    name = REAL_OF.get(dtype_name, dtype_name)
    require("normal_", name, FLOATING)
    if not std >= 0.0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if name != dtype_name:
        std /= math.sqrt(2.0)
    dtype = numpy_dtype(dtype_name)
    size = count(shape) * dtype.itemsize // numpy_dtype(name).itemsize
    if contiguous and size >= BLOCK:
        out = _fill(generator, size, name, mean, std)
    else:
        out = cast(_one_by_one(generator, size, mean, std), name)
    return out.view(dtype).reshape(shape)


def log_normal(
    generator: Generator, shape: Shape, dtype_name: str, mean: float = 1.0, std: float = 2.0
) -> Array:
    """``exp`` of normal numbers of the given mean and deviation, as ``Tensor.log_normal_``.

    Raises:
        NotImplementedError: ``dtype_name`` is not floating.
        RuntimeError: ``std`` is not positive.
    """
    require("log_normal_", dtype_name, FLOATING)
    if not std > 0.0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    value = map_libm(exp, _one_by_one(generator, count(shape), mean, std))
    return cast(value, dtype_name).reshape(shape)


def _fill(generator: Generator, n: int, name: str, mean: float, std: float) -> Array:
    """The blocks, then 16 fresh uniforms for the last 16 places if ``n`` is no multiple of 16."""
    out = np.empty(n, numpy_dtype(name))
    if host.fill("normal", generator, out, name, mean, std):
        return out
    whole = n - n % BLOCK
    # A uniform for every place is drawn first, but half types draw block by block.
    unused = 0 if name in HALF else n - whole
    with generator.lock, np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, whole, _CHUNK):
            stop = min(start + _CHUNK, whole)
            with_tail = stop == whole < n
            size = stop - start
            unit = _units(generator, size + with_tail * (unused + BLOCK), name)
            if with_tail:
                unit[size : size + BLOCK] = unit[size + unused :]
                unit = unit[: size + BLOCK]
            values = _blocks(unit, name, mean, std)
            out[start:stop] = values[:size]
            if with_tail:
                out[-BLOCK:] = values[size:]
    return out


def _units(generator: Generator, n: int, name: str) -> Array:
    return unit64(generator, n) if name == "float64" else unit32(generator, n)


def _blocks(unit: Array, name: str, mean: float, std: float) -> Array:
    """Normals from uniforms, in their place."""
    transform: Callable[..., tuple[Array, Array]] = pairs64 if name == "float64" else pairs32
    blocks = unit.reshape(-1, 2, BLOCK // 2)
    first, second = transform(blocks[:, 0].ravel(), blocks[:, 1].ravel(), mean, std)
    blocks[:, 0], blocks[:, 1] = (x.reshape(-1, BLOCK // 2) for x in (first, second))
    return cast(unit, name)


def _one_by_one(generator: Generator, n: int, mean: float, std: float) -> F64:
    """Pairs of normals in turn; a second value that is not used waits in the generator."""
    if n <= few.FEW:
        return _few(few.normals(generator, n), mean, std)
    out = np.empty(n, np.float64)
    with generator.lock:
        start = 0
        if n and generator.next_normal is not None:
            out[0], start, generator.next_normal = generator.next_normal, 1, None
        pairs = _pairs(generator, (n - start + 1) // 2)
        out[start:] = pairs[: n - start]
        if pairs.size > n - start:
            generator.next_normal = float(pairs[-1])
    return fma64(out, std, mean)


def _few(values: list[float], mean: float, std: float) -> F64:
    if mean == 0.0 and std == 1.0:
        return np.array(values, np.float64)
    try:
        return np.array(few.fused(values, std, mean), np.float64)
    except (OverflowError, ValueError):  # beyond the largest float, infinite, or NaN
        return fma64(np.array(values, np.float64), std, mean)


def _pairs(generator: Generator, n: int) -> F64:
    """``2 * n`` standard normals in float64, from the C library's functions."""
    drawn = np.empty(2 * n, np.float64)
    if host.fill("normal_pairs", generator, drawn):
        return drawn
    uniforms = all_unit64(generator, 2 * n).reshape(n, 2)
    angle = (2.0 * math.pi) * uniforms[:, 0]
    radius = np.sqrt(-2.0 * map_libm(math.log1p, -uniforms[:, 1]))
    pairs = np.empty((n, 2), np.float64)
    pairs[:, 0] = radius * map_libm(math.cos, angle)
    pairs[:, 1] = radius * map_libm(math.sin, angle)
    return pairs.ravel()
