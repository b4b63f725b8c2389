"""Gather and scatter along one dimension, and the search for what is not zero.

Places are folded into one linear index: NumPy's ``take`` and the one-dimensional ``add.at`` are
several times faster than indexing by an open mesh.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()
_maximum = np.maximum.reduce


def check_bounds(index: Any, size: int, dim: int) -> None:
    """Refuse indices outside ``0..size-1``.

    Raises:
        RuntimeError: naming the index and the dimension.
    """
    # Seen as unsigned, a negative index is a large one: one pass for both ends.
    if index.size and _maximum(index.view(np.uint64), None) >= size:
        bad = index[(index < 0) | (index >= size)].flat[0]
        raise RuntimeError(f"index {bad} is out of bounds for dimension {dim} with size {size}")


def linear(index: Any, shape: tuple[int, ...], dim: int) -> Any:
    """Positions in a row-major array of a shape of what an index names along a dimension."""
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    places = index * strides[dim] if strides[dim] != 1 else index
    for d, n in enumerate(index.shape):
        if d != dim and n > 1 and strides[d]:
            steps = np.arange(0, n * strides[d], strides[d])
            steps = steps.reshape((n,) + (1,) * (len(shape) - 1 - d))
            # In place where it can be: fresh memory costs more than the sum.
            places = places + steps if places is index else np.add(places, steps, places)
    return places


def _gather_fresh(x: Any, index: Any, dim: int) -> Any:
    if not x.ndim or not index.ndim:
        x, shape = np.atleast_1d(x), index.shape
        return _gather_fresh(x, np.atleast_1d(index), dim).reshape(shape)
    check_bounds(index, x.shape[dim], dim)
    if x.flags.c_contiguous:
        if x.ndim == 1:
            return x.take(index)
        return x.reshape(-1).take(linear(index, x.shape, dim))
    places = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    places[dim] = index
    return np.ascontiguousarray(x[tuple(places)])


@kernels.register("gather", fresh=_gather_fresh)
def gather(out: Any, x: Any, index: Any, dim: int) -> None:
    """Elements at an index along a dimension."""
    out[...] = _gather_fresh(x, index, dim)


def _target(out: Any, x: Any) -> tuple[Any, Any]:
    """The result, holding a copy of the input, and a flat array to write to."""
    if out is not x:
        np.copyto(out, x)
    out = np.atleast_1d(out)
    flat = out.reshape(-1) if out.flags.c_contiguous else np.ascontiguousarray(out).reshape(-1)
    return out, flat


def _give_back(out: Any, flat: Any) -> None:
    """Write a flat array back if it is a copy."""
    if not out.flags.c_contiguous:
        out[...] = flat.reshape(out.shape)


@kernels.register("scatter_elements")
def scatter_elements(out: Any, x: Any, index: Any, src: Any, dim: int) -> None:
    """Write elements to an index along a dimension of a copy; the last one stays."""
    target, index = np.atleast_1d(out), np.atleast_1d(index)
    check_bounds(index, target.shape[dim], dim)
    target, flat = _target(out, x)
    if index.size:
        flat[linear(index, target.shape, dim)] = src
        _give_back(target, flat)


@kernels.register("scatter_add")
def scatter_add(out: Any, x: Any, index: Any, src: Any, dim: int) -> None:
    """Add elements at an index along a dimension of a copy, in the order of the index."""
    target, index = np.atleast_1d(out), np.atleast_1d(index)
    check_bounds(index, target.shape[dim], dim)
    target, flat = _target(out, x)
    if index.size:
        add_at(flat, linear(index, target.shape, dim), src)
        _give_back(target, flat)


def add_at(flat: Any, places: Any, values: Any) -> None:
    """``flat[places] += values`` with repeated places added up, all flattened."""
    np.add.at(flat, places.reshape(-1), np.broadcast_to(values, places.shape).reshape(-1))


@kernels.register_fresh("nonzero")
def nonzero(x: Any, as_tuple: bool) -> Any:
    """Indices of the elements that are not zero."""
    if as_tuple or not x.ndim:
        return NotImplemented
    return np.argwhere(x)
