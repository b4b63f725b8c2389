"""``make_tensor``: random inputs for tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.dtypes import dtype as DType
from flambeau.tensor import Tensor


def make_tensor(
    *shape: int | Sequence[int], dtype: DType, device: Any = "cpu", low: float | None = None,
    high: float | None = None, requires_grad: bool = False, noncontiguous: bool = False,
    exclude_zero: bool = False, memory_format: Any = None,
) -> Tensor:
    """A tensor of uniform random values in [low, high).

    Args:
        shape: sizes, or one sequence of them.
        dtype: of the tensor.
        device: of the tensor.
        low: by default -9 for floating, signed and complex dtypes, else 0.
        high: by default 9, or 10 for integers, or 2 for booleans.
        requires_grad: only for floating and complex dtypes.
        noncontiguous: with gaps between the elements, if there are several.
        exclude_zero: zeros are replaced by the smallest positive number (or 1).
        memory_format: of the result.

    Raises:
        ValueError: for an empty range, both ``noncontiguous`` and a memory format, or a gradient
            of integers.
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    if requires_grad and dtype.category < 2:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got "
            f"dtype={dtype}")
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive")
    made = _values(sizes, dtype, low, high).to(dtype)
    if exclude_zero:
        least = fb.finfo(dtype.to_real()).tiny if dtype.category >= 2 else 1
        made = fb.where(made == 0, fb.tensor(least, dtype=dtype), made)
    if noncontiguous and made.numel() > 1:
        made = fb.repeat_interleave(made, 2, dim=-1)[..., ::2]
    elif memory_format is not None:
        made = made.clone(memory_format=memory_format)
    placed: Tensor = made.to(device) if str(device) != "cpu" else made
    return placed.requires_grad_(requires_grad) if dtype.category >= 2 else placed


def _values(sizes: Any, dtype: DType, low: float | None, high: float | None) -> Tensor:
    if dtype.category == 0:
        made: Tensor = fb.randint(0, 2, sizes)
        return made
    if dtype.category == 1:
        first = math.floor(low) if low is not None else (-9 if dtype.is_signed else 0)
        last = math.ceil(high) if high is not None else 10
        _check(first, last)
        made = fb.randint(first, last, sizes)
        return made
    least, most = (-9.0 if low is None else low), (9.0 if high is None else high)
    _check(least, most)

    def uniform(what: DType) -> Tensor:
        drawn: Tensor = fb.rand(sizes, dtype=what) * (most - least) + least
        return drawn

    if dtype.category == 3:
        part = dtype.to_real()
        both: Tensor = fb.complex(uniform(part), uniform(part))
        return both
    return uniform(fb.float64 if dtype is fb.float64 else fb.float32)


def _check(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(
            f"make_tensor: `low` must be less than `high`, but got {low} >= {high}")
