"""Reductions and running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from flambeau_mlx.kernels.table import table

HALVES = (mx.float16, mx.bfloat16)


def accumulated(x: mx.array) -> mx.array:
    """Integers and booleans as int64, half precision as single."""
    if x.dtype in HALVES:
        return x.astype(mx.float32)
    return x if mx.issubdtype(x.dtype, mx.inexact) else x.astype(mx.int64)


def _accumulating(function: Callable[..., mx.array]) -> Callable[..., mx.array]:
    def kernel(x: mx.array, dim: Any, keepdim: bool) -> mx.array:
        result = function(accumulated(x), dim, keepdim)
        return result.astype(x.dtype) if x.dtype in HALVES else result

    return kernel


table.add(sum=_accumulating(mx.sum), prod=_accumulating(mx.prod))


@table.function("amax")
def amax(x: mx.array, dim: Any, keepdim: bool) -> mx.array:
    """Greatest values; NaN if there is one."""
    return mx.max(x, dim, keepdim)


@table.function("amin")
def amin(x: mx.array, dim: Any, keepdim: bool) -> mx.array:
    """Smallest values; NaN if there is one."""
    return mx.min(x, dim, keepdim)


def _place_of(function: Callable[..., mx.array]) -> Callable[..., mx.array]:
    """The first place of an extreme value, or of the first NaN, which MLX skips."""

    def kernel(x: mx.array, dim: int | None, keepdim: bool) -> mx.array:
        if x.size == 0:
            shape = [1 if d == dim else n for d, n in enumerate(x.shape) if keepdim or d != dim]
            return mx.zeros(shape, mx.int64)
        places = function(x, dim, keepdim)
        if mx.issubdtype(x.dtype, mx.floating):
            undefined = x != x
            first = mx.argmax(undefined, dim, keepdim)
            places = mx.where(mx.any(undefined, dim, keepdim), first, places)
        return places.astype(mx.int64)

    return kernel


table.add(argmax=_place_of(mx.argmax), argmin=_place_of(mx.argmin))


@table.function("cumsum")
def cumsum(x: mx.array, dim: int) -> mx.array:
    """Running sums."""
    if not x.ndim:
        return x
    return mx.cumsum(accumulated(x), dim).astype(x.dtype)


@table.override("mean")
def mean(x: mx.array, dim: Any, keepdim: bool, dtype: Any = None) -> Any:
    """Sums over counts, in one pass."""
    if dtype is not None or x.dtype != mx.float32 or not x.size or dim == [] or dim == ():
        return NotImplemented
    return mx.mean(x, dim, keepdim)
