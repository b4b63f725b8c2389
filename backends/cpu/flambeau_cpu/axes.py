"""Dimensions of reductions as NumPy takes them."""

from __future__ import annotations

from typing import Any


def axes_of(x: Any, dim: Any) -> tuple[int, ...] | int | None:
    """NumPy's ``axis`` for PyTorch's ``dim``: None or an empty list is every dimension.

    Raises:
        IndexError: for a dimension that the array does not have.
        RuntimeError: for one given twice.
    """
    if dim is None or (dim.__class__ is not int and not len(dim)):
        return None
    dims = (dim,) if dim.__class__ is int else tuple(dim)
    ndim = x.ndim
    if len(dims) > 1 and len({d % max(ndim, 1) for d in dims}) < len(dims):
        raise RuntimeError(f"a dim appears multiple times in the list of dims {list(dims)}")
    for d in dims:
        if not -max(ndim, 1) <= d < max(ndim, 1):
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(ndim, 1)}, "
                f"{max(ndim, 1) - 1}], but got {d})"
            )
    return dims if ndim else None


def count(x: Any, axes: tuple[int, ...] | int | None) -> int:
    """Number of elements that one result of a reduction comes from."""
    if axes is None:
        return int(x.size)
    n = 1
    for axis in axes if isinstance(axes, tuple) else (axes,):
        n *= x.shape[axis]
    return n
