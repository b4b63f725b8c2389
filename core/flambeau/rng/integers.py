"""Discrete uniform numbers (PyTorch's ``uniform_int_*_distribution`` and ``random_from_to``)."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np

from flambeau.rng import few, host
from flambeau.rng.elements import (
    DIGITS,
    FLOATING,
    HIGHEST,
    INTEGRAL_RANGE,
    cast,
    numpy_dtype,
    require,
)
from flambeau.rng.engine import Generator
from flambeau.rng.types import U64, Array, Shape, chunks, count

# Wider ranges take 64-bit words, so that the modulo skews no value's chance by more than 5 %.
# This limit is of PyTorch 2.13; earlier releases had 2**32.
_WIDE: Final = 2**28

_DTYPES: Final = (*INTEGRAL_RANGE, *FLOATING)
_FULL_RANGE: Final = ("int64", "float64", "float32", "bfloat16")


def randint(
    generator: Generator, low: int, high: int, shape: Shape, dtype_name: str = "int64"
) -> Array:
    """Integers in [low, high), as ``torch.randint``.

    Raises:
        NotImplementedError: ``dtype_name`` is complex.
        RuntimeError: the range is empty or does not fit the dtype.
    """
    return random_(generator, shape, dtype_name, low, high)


def random_(
    generator: Generator,
    shape: Shape,
    dtype_name: str,
    low: int | None = None,
    high: int | None = None,
) -> Array:
    """Integers in [low, high), as ``Tensor.random_``.

    Without bounds: all from 0 to the largest of an integral dtype, or to the end of the integers
    that a floating dtype holds exactly, ``2**digits``.  With ``low`` alone: from there to that
    end; ``low=-2**63`` stands for every 64-bit integer.

    Raises:
        NotImplementedError: ``dtype_name`` is complex.
        RuntimeError: the range is empty or does not fit the dtype.
        ValueError: a bound does not fit in 64 bits.

    Warns:
        UserWarning: a bound is beyond the integers that a floating dtype holds exactly.
    """
    require("random_", dtype_name, _DTYPES)
    if low is None:
        start, stop = 0, _last(dtype_name) + 1
        wide = dtype_name in ("int64", "float64")
    elif low == -(2**63) and high is None:
        require("random_ over all 64-bit integers", dtype_name, _FULL_RANGE)
        start, stop, wide = -(2**63), 2**63, True
    else:
        start, stop = _bounds(dtype_name, low, high)
        wide = stop - start >= _WIDE
    return _fill(generator, shape, dtype_name, start, stop, wide)


def _fill(
    generator: Generator, shape: Shape, name: str, start: int, stop: int, wide: bool
) -> Array:
    if name in INTEGRAL_RANGE and count(shape) <= few.FEW and stop - start < 2**64 and (
        not host.pays(count(shape))
    ):
        drawn = few.integers(generator, count(shape), start, stop - start, wide)
        return np.array(drawn, numpy_dtype(name)).reshape(shape)
    out = np.empty(count(shape), numpy_dtype(name))
    draw = generator.double_words if wide else generator.words
    # Of all 64-bit integers, a word is one as it is: no offset.
    span, offset = stop - start, np.uint64(0 if stop - start == 2**64 else start % 2**64)
    if name in INTEGRAL_RANGE and host.fill(
        "integers", generator, out, span, int(offset.view(np.int64)), wide
    ):
        return out.reshape(shape)
    with generator.lock:
        for part in chunks(out.size):
            words = _modulo(draw(part.stop - part.start), span)
            words += offset
            out[part] = cast(words.view(np.int64), name)
    return out.reshape(shape)


def _modulo(words: U64, span: int) -> U64:
    if span & (span - 1) == 0:
        words &= np.uint64(span - 1)
    else:  # NumPy divides by a scalar with SIMD, but takes remainders one by one
        words -= words // np.uint64(span) * np.uint64(span)
    return words


def _last(name: str) -> int:
    return 2 ** DIGITS[name] if name in DIGITS else INTEGRAL_RANGE[name][1]


def _bounds(name: str, low: int, high: int | None) -> tuple[int, int]:
    """``low`` and the end, moved to where conversion to a floating dtype stays between them."""
    for bound in (low, low if high is None else high):
        if not -(2**63) <= bound < 2**63:
            raise ValueError(f"random_: the bound {bound} does not fit in a 64-bit integer")
    start, stop = low, _last(name) + 1 if high is None else high
    if start >= stop:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={start} >= to={stop}"
        )
    if name in DIGITS:
        start = _first_inside(start, name)
        stop = stop if high is None else _end_inside(stop, name)
        if start >= stop - (high is None):
            raise RuntimeError(
                f"random_ expects 'from' to be less than 'to' when cast to {name}, "
                f"but got from={start} and to={stop}"
            )
    _check_range(name, start, stop - 1)
    return start, stop


def _check_range(name: str, first: int, last: int) -> None:
    highest = HIGHEST.get(name, 0.0)
    lowest, highest = INTEGRAL_RANGE.get(name, (-highest, highest))
    for label, value in (("from", first), ("to - 1", last)):
        if not lowest <= value <= highest:
            raise RuntimeError(
                f"random_: {label}={value} is out of bounds for {name}, "
                f"which holds {lowest} to {highest}"
            )
        if name in DIGITS and abs(value) > 2 ** DIGITS[name]:
            warnings.warn(
                f"random_: {label}={value} is beyond 2**{DIGITS[name]}, up to which {name} holds "
                "every integer: some will never be drawn, others more often",
                UserWarning,
                stacklevel=2,
            )


def _first_inside(low: int, name: str) -> int:
    """``low``, or the next value of the dtype if what follows ``low`` is rounded below it."""
    following = _rounded(low + 1, name)
    return following + _spacing(low + 1, name) if following < low else low


def _end_inside(high: int, name: str) -> int:
    """``high``, or the value before it if the integer before ``high`` is rounded up to it."""
    preceding = _rounded(high - 1, name)
    return preceding - _spacing(high - 1, name) if preceding >= high else high


def _rounded(value: int, name: str) -> int:
    """``value`` as the dtype holds it; unchanged if that is no 64-bit integer."""
    held = float(cast(np.array(value, np.int64), name))
    return int(held) if -(2.0**63) <= held < 2.0**63 else value


def _spacing(value: int, name: str) -> int:
    """Distance of neighbouring values of the dtype around ``value``."""
    return int(2 ** (abs(value).bit_length() - DIGITS[name]))
