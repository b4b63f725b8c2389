"""Conversions of 8-bit floats and of complex numbers of two halves, rounded as PyTorch's.

Sources: the formats are those of "FP8 Formats for Deep Learning" (Micikevicius et al., 2022), of
Graphcore's variants with one zero ("fnuz") and of the OCP Microscaling specification ("e8m0").
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def is_small(d: np.dtype[Any]) -> bool:
    """Whether a NumPy dtype is one of those that are converted here."""
    kind: str = d.kind  # "W" is that of ml_dtypes' complex numbers
    return kind == "W" or (d.itemsize == 1 and kind in "Vf")


def widened(x: Array) -> Array:
    """The same values in a type of NumPy's own; other types are returned as they are."""
    if not is_small(x.dtype):
        return x
    return x.astype(np.complex64 if x.dtype.name == "complex32" else np.float32)


def narrowed(x: Array, to: np.dtype[Any]) -> Array:
    """Values in a small type, rounded to the nearest, ties to even.

    Every type goes through single precision first, as in PyTorch.
    """
    if to.name == "complex32":
        with np.errstate(all="ignore"):
            return x.astype(np.complex64).astype(to)
    with np.errstate(all="ignore"):
        single = (x.real if x.dtype.kind == "c" else x).astype(np.float32)
        if to.name == "float8_e8m0fnu":
            return _powers_of_two(single).view(to)
        result = single.astype(to)
    if to.name == "float8_e4m3fn":  # has no infinity: too large is the largest
        _replace(result, (single != single) < (result != result), single, 0x7E)
    elif to.name == "float8_e5m2":
        _replace(result, single != single, single, 0x7F)
    return result


def _replace(result: Array, where: Array, sign_of: Array, bits: int) -> None:
    """Put a number given by its bits where it is wanted, with the signs of others."""
    signs = np.signbit(sign_of).astype(np.uint8) << 7
    np.copyto(result.view(np.uint8), signs | np.uint8(bits), where=where)


def _powers_of_two(x: Array) -> Array:
    """The exponents of magnitudes, rounded to the nearest; 255 for what is no number.

    A magnitude in the middle goes up, but for the least exponent, at which it goes down to zero.
    """
    bits = x.view(np.uint32)
    exponent, fraction = (bits >> 23) & 0xFF, bits & 0x7FFFFF
    middle = np.where(exponent > 0, 0x400000, 0x400001)
    return np.where(exponent == 255, 255, exponent + (fraction >= middle)).astype(np.uint8)
