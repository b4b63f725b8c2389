"""Gamma and Dirichlet numbers (PyTorch's ``sample_gamma``)."""

from __future__ import annotations

import math

import numpy as np

from flambeau.rng import few, host
from flambeau.rng.elements import DIGITS, FLOATING, cast, numpy_dtype, require
from flambeau.rng.engine import Generator
from flambeau.rng.libm import log
from flambeau.rng.types import F64, Array

# PyTorch's constants are of float32, also where the arithmetic is of float64.
_THIRD = float(np.float32(1.0) / np.float32(3.0))
_SQUEEZE = float(np.float32(0.0331))


def standard_gamma(generator: Generator, shapes: Array) -> Array:
    """Gamma numbers of rate 1, as ``torch._standard_gamma``.

    Normals that pass Marsaglia and Tsang's test (2000), cubed; a shape below 1 takes a number of
    the next shape, times a power of a uniform.

    Args:
        shapes: of a floating dtype, in the order in which memory holds them.

    Returns:
        numbers in the shape and dtype of the shapes, none below the dtype's least normal number.

    Raises:
        NotImplementedError: ``shapes`` is not floating.
    """
    require("_standard_gamma", shapes.dtype.name, FLOATING)
    name = shapes.dtype.name
    drawn = cast(_float64(generator, shapes, narrow=name != "float64"), name)
    least = smallest_normal(name)
    return np.maximum(drawn, least).reshape(shapes.shape)


def dirichlet(generator: Generator, concentrations: Array) -> Array:
    """Points of the simplex along the last dimension, as ``torch._sample_dirichlet``.

    Raises:
        NotImplementedError: ``concentrations`` is not floating.
    """
    name = concentrations.dtype.name
    require("_sample_dirichlet", name, FLOATING)
    drawn = np.maximum(_float64(generator, concentrations), smallest_normal("float64"))
    drawn = drawn.reshape(concentrations.shape)
    with np.errstate(invalid="ignore"):
        parts = cast(drawn / drawn.sum(-1, keepdims=True), name)
    most = np.array(1.0 - 2.0 ** -DIGITS[name], numpy_dtype(name))
    inside: Array = np.minimum(np.maximum(parts, smallest_normal(name)), most)
    return inside


def smallest_normal(name: str) -> Array:
    """The least positive number of full precision."""
    exponent = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}[name]
    return np.array(2.0**exponent, numpy_dtype(name))


def _float64(generator: Generator, shapes: Array, narrow: bool = False) -> F64:
    """The numbers in float64, for shapes of which sums are rounded to float32 if ``narrow``."""
    with np.errstate(divide="ignore", over="ignore"):
        given: Array = shapes.astype(np.float32 if narrow else np.float64).ravel()
        boosted = given < 1
        powers = np.where(boosted, 1 / given, 0).astype(np.float64)
        d = (np.where(boosted, given + 1, given) - given.dtype.type(_THIRD)).astype(np.float64)
    parameters = (given.astype(np.float64), powers, d)
    out = np.empty(given.size, np.float64)
    with generator.lock:
        spare = np.array([generator.next_normal is not None, generator.next_normal or 0.0])
        if host.fill("gamma", generator, out, *parameters, spare):
            generator.next_normal = float(spare[1]) if spare[0] else None
        else:
            rows = zip(*(p.tolist() for p in parameters), strict=True)
            out[:] = [_number(generator, *row) for row in rows]
    return out


def _number(generator: Generator, alpha: float, power: float, d: float) -> float:
    """One number of the shape ``alpha``, from one of the shape ``d + 1/3`` if that is another."""
    if alpha == 0.0:
        return 0.0
    if not d > 0.0:
        return math.nan
    scale = _power(1.0 - few.unit64(generator, 1)[0], power) if power else 1.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        y = 0.0
        while y <= 0.0:
            x = few.normals(generator, 1)[0]
            y = 1.0 + c * x
        v = y * y * y
        u = 1.0 - few.unit64(generator, 1)[0]
        square = x * x
        if u < 1.0 - _SQUEEZE * square * square or log(u) < 0.5 * square + d * (1.0 - v + log(v)):
            return scale * d * v


def _power(base: float, exponent: float) -> float:
    """``base**exponent`` of a base in [0, 1], as in C."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return 0.0
