"""What the distributions know of an element type, by its name."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any, Final

import numpy as np

from flambeau.dtypes import BY_NAME
from flambeau.rng.types import Array

FLOATING: Final = ("float16", "bfloat16", "float32", "float64")
HALF: Final = ("float16", "bfloat16")
REAL_OF: Final = {"complex64": "float32", "complex128": "float64"}

# The largest finite value.
HIGHEST: Final = {
    "float16": 65504.0,
    "bfloat16": (2.0 - 2.0**-7) * 2.0**127,
    "float32": (2.0 - 2.0**-23) * 2.0**127,
    "float64": sys.float_info.max,
}

# Digits of the significand: every integer up to 2**digits is held exactly.
DIGITS: Final = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}

INTEGRAL_RANGE: Final = {
    "bool": (0, 1),
    "uint8": (0, 2**8 - 1),
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a dtype name; bfloat16 imports ``ml_dtypes``."""
    return BY_NAME[name].numpy


def cast(x: Array, name: str) -> Array:
    """``x`` converted as C++ does: to a half type by way of float32, overflow to infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        if name in HALF:
            x = x.astype(np.float32, copy=False)
        return x.astype(numpy_dtype(name), copy=False)


def require(op: str, name: str, allowed: Collection[str]) -> None:
    """Raise NotImplementedError unless dtype ``name`` is one of ``allowed``."""
    if name not in allowed:
        raise NotImplementedError(f"{op} is not implemented for {name}; use {', '.join(allowed)}")
