"""Reading and writing at indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()


def _check(name: str, index: Any, size: int, dim: int) -> None:
    if index.size and (index.min() < 0 or index.max() >= size):
        bad = index[(index < 0) | (index >= size)].flat[0]
        raise IndexError(
            f"{name}(): index {bad} is out of bounds for dimension {dim} with size {size}")


def _places(index: Any, dim: int) -> tuple[Any, ...]:
    """An open mesh of the index's own positions, with the index at ``dim``."""
    places = list(np.ogrid[tuple(slice(n) for n in index.shape)]) if index.ndim else []
    if places:
        places[dim] = index
    return tuple(places)


@kernels.register("gather")
def gather(out: Any, x: Any, index: Any, dim: int) -> None:
    """Elements at an index along a dimension."""
    x, index, target = (np.atleast_1d(a) for a in (x, index, out))
    _check("gather", index, x.shape[dim], dim)
    if index.size:
        target[...] = x[_places(index, dim)]


@kernels.register("scatter_elements")
def scatter_elements(out: Any, x: Any, index: Any, src: Any, dim: int) -> None:
    """Write elements to an index along a dimension of a copy."""
    if out is not x:
        np.copyto(out, x)
    target, index = np.atleast_1d(out), np.atleast_1d(index)
    _check("scatter", index, target.shape[dim], dim)
    if index.size:
        target[_places(index, dim)] = src


@kernels.register("scatter_add")
def scatter_add(out: Any, x: Any, index: Any, src: Any, dim: int) -> None:
    """Add elements at an index along a dimension of a copy, in the order of the index."""
    if out is not x:
        np.copyto(out, x)
    target, index, src = (np.atleast_1d(a) for a in (out, index, src))
    _check("scatter_add", index, target.shape[dim], dim)
    if index.size:
        np.add.at(target, _places(index, dim), src)
