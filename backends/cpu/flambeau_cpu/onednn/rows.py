"""Kernels that treat rows, or elements, each by itself: cut into ranges of them.

oneDNN's exponentials lose NaN and infinities: a result that holds one of them is thrown away, and
NumPy decides.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from flambeau_cpu.memory import empty
from flambeau_cpu.onednn.library import Unimplemented
from flambeau_cpu.onednn.primitive import Builder, Primitive, builder
from flambeau_cpu.onednn.threads import POOL, ranges

_SINGLE: Final = np.dtype(np.float32)
_greatest: Final = np.maximum.reduce
Make = Callable[[Builder, int], Primitive]
Cut = tuple[tuple[int, int, Primitive], ...]


def cut(count: int, cost: float, make: Make, unit: int = 1) -> Cut | None:
    """Ranges of rows with the code for each; None if oneDNN has none.

    Args:
        count: of rows.
        cost: of all together, in microseconds on one thread.
        make: the code for so many rows.
        unit: ranges begin at multiples of it.
    """
    made: dict[int, Primitive] = {}
    found = []
    try:
        with builder() as b:
            for i, j in ranges(-(-count // unit), cost):
                start, stop = i * unit, min(j * unit, count)
                if stop - start not in made:
                    made[stop - start] = make(b, stop - start)
                found.append((start, stop, made[stop - start]))
    except Unimplemented:
        return None
    return tuple(found)


def run(
    plan: Cut, arrays: tuple[Any, ...], steps: tuple[int, ...], sums: tuple[Any, ...] = (),
    common: tuple[Any, ...] = (),
) -> None:
    """Run code on ranges of arrays.

    Args:
        plan: the ranges.
        arrays: cut into them.
        steps: for each array the bytes from row to row.
        sums: arrays of which each range has a row.
        common: arrays that every range uses.
    """
    given = [a.ctypes.data for a in arrays]
    into = [(a.ctypes.data, a.strides[0]) for a in sums]
    others = [a.ctypes.data for a in common]
    POOL.run([
        partial(code, *(a + i * s for a, s in zip(given, steps, strict=True)),
                *(a + k * s for a, s in into), *others)
        for k, (i, _, code) in enumerate(plan)
    ])


def run_checked(plan: Cut, arrays: tuple[Any, ...], width: int, checked: Any) -> bool:
    """Run code on ranges of dense rows; whether ``checked``, one of the arrays, holds no
    NaN and no positive infinity."""
    step = 4 * width
    given = [a.ctypes.data for a in arrays]
    flat = in_memory_order(checked)
    whole: list[bool] = []

    def part(i: int, j: int, code: Primitive) -> None:
        code(*(a + i * step for a in given))
        whole.append(bool(_greatest(flat[i * width : j * width]) < np.inf))

    POOL.run([partial(part, *range_) for range_ in plan])
    return all(whole)


def in_memory_order(x: Any) -> Any:
    """A dense array as one row, without a copy."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    order = sorted(range(x.ndim), key=lambda d: -x.strides[d])
    return x.transpose(order).reshape(-1)


def is_dense(x: Any) -> bool:
    """Whether elements lie without gaps, in whatever order."""
    if x.flags.c_contiguous:
        return True
    step = x.itemsize
    for n, s in sorted(zip(x.shape, x.strides, strict=True), key=lambda pair: pair[1]):
        if n > 1:
            if s != step:
                return False
            step *= n
    return True


def empty_like(x: Any) -> Any:
    """An uninitialised array in the memory order of a dense one."""
    if x.flags.c_contiguous:
        return empty(x.shape, x.dtype)
    order = sorted(range(x.ndim), key=lambda d: -x.strides[d])
    made = empty(tuple(x.shape[d] for d in order), x.dtype)
    return made.transpose(np.argsort(order))
