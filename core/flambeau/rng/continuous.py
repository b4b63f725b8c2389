"""Distributions made from one float64 uniform each (PyTorch's ``TransformationHelper.h``)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from flambeau.rng import host
from flambeau.rng.elements import FLOATING, cast, numpy_dtype, require
from flambeau.rng.engine import Generator
from flambeau.rng.fma import fma64
from flambeau.rng.libm import log, map_libm
from flambeau.rng.types import F64, Array, Shape, count
from flambeau.rng.uniform import all_unit64

_COUNTING: Final = ("uint8", "int8", "int16", "int32", "int64", *FLOATING)

# More than the relative error of NumPy's log1p and of a product: 16 units in the last place.
_SLACK: Final = 2.0**-48


def exponential(generator: Generator, shape: Shape, dtype_name: str, lambd: float = 1.0) -> Array:
    """Exponential numbers ``-log(1 - u) / lambd``, as ``Tensor.exponential_``.

    Raises:
        NotImplementedError: ``dtype_name`` is not floating.
        RuntimeError: ``lambd`` is not positive.
    """
    require("exponential_", dtype_name, FLOATING)
    if not lambd > 0.0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    out = np.empty(count(shape), numpy_dtype(dtype_name))
    if host.fill("exponential", generator, out, dtype_name, -1.0 / lambd):
        return out.reshape(shape)
    uniforms = all_unit64(generator, count(shape))
    if dtype_name == "float64":
        return _exponential(uniforms, lambd).reshape(shape)
    # NumPy's log1p is fast and nearly right, which is enough unless the rounding is in doubt.
    value = np.log1p(-uniforms) * (-1.0 / lambd)
    out = cast(value, dtype_name)
    low, high = (cast(value * (1.0 + slack), dtype_name) for slack in (-_SLACK, _SLACK))
    doubtful = np.flatnonzero(low != high)
    out[doubtful] = cast(_exponential(uniforms[doubtful], lambd), dtype_name)
    return out.reshape(shape)


def _exponential(uniforms: F64, lambd: float) -> F64:
    return map_libm(math.log1p, -uniforms) * (-1.0 / lambd)


def cauchy(
    generator: Generator, shape: Shape, dtype_name: str, median: float = 0.0, sigma: float = 1.0
) -> Array:
    """Cauchy numbers ``median + sigma * tan(pi * (u - 1/2))``, as ``Tensor.cauchy_``.

    Raises:
        NotImplementedError: ``dtype_name`` is not floating.
        RuntimeError: ``sigma`` is not positive.
    """
    require("cauchy_", dtype_name, FLOATING)
    if not sigma > 0.0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    angle = math.pi * (all_unit64(generator, count(shape)) - 0.5)
    value = fma64(map_libm(math.tan, angle), sigma, median)
    return cast(value, dtype_name).reshape(shape)


def geometric(generator: Generator, shape: Shape, dtype_name: str, p: float) -> Array:
    """Number of trials up to the first success of chance ``p``, as ``Tensor.geometric_``.

    The value is ``ceil(log(u) / log(1 - p))``.

    Raises:
        NotImplementedError: ``dtype_name`` is bool or complex.
        RuntimeError: ``p`` is not inside (0, 1).
    """
    require("geometric_", dtype_name, _COUNTING)
    if not 0.0 < p < 1.0:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    value = map_libm(log, all_unit64(generator, count(shape)))
    with np.errstate(over="ignore"):
        value /= math.log1p(-p)
    return cast(np.ceil(value), dtype_name).reshape(shape)
