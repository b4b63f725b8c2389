"""Histograms with edges, in one dimension and in several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau import dtypes, return_types
from flambeau.ops.compare import where
from flambeau.ops.create import linspace
from flambeau.ops.search import searchsorted
from flambeau.tensor import Tensor


def _edges(values: Tensor, bins: Any, low: Any, high: Any) -> Any:
    """Edges between bins: as given, or ``bins`` equal parts of a range."""
    if isinstance(bins, Tensor):
        return bins.to(values.dtype)
    if low is None:
        low, high = (
            (float(values.min().item()), float(values.max().item())) if values.numel() else (0, 1))
    if not low <= high:
        raise RuntimeError(f"histogram: max must not be smaller than min, got [{low}, {high}]")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return linspace(low, high, bins + 1, dtype=values.dtype, device=values.device)


def _bins(values: Tensor, edges: Tensor) -> tuple[Any, Any]:
    """The bin of each value (the last bin has both of its edges), and whether it has one."""
    count = edges.numel() - 1
    at = searchsorted(edges, values.contiguous(), right=True) - 1
    at = where(values == edges[-1], count - 1, at)
    inside = (values >= edges[0]) & (values <= edges[-1])
    return where(inside, at, 0), inside


def _check(name: str, points: Tensor, weight: Tensor | None, count: int) -> None:
    if points.dtype.category != 2:
        raise RuntimeError(f"{name}: input tensor must be floating, got {points.dtype.name}")
    if weight is not None and weight.dtype is not points.dtype:
        raise TypeError(f"{name}: weight must have the dtype of the input, {points.dtype.name}")
    if weight is not None and weight.numel() != count:
        raise RuntimeError(f"{name}: weight must have one element for each of {count} points")


def histogram(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None,
    density: bool = False, out: Any = None,
) -> Any:
    """How many values fall between edges.

    Args:
        input: values, of any shape.
        bins: the number of bins, or their edges in ascending order.
        range: the first and the last edge, by default of the values themselves.
        weight: what each value counts, of the input's shape.
        density: divide by the total and by the widths of the bins.

    Returns:
        The histogram and its edges.
    """
    _check("torch.histogram", input, weight, input.numel())
    low, high = (None, None) if range is None else range
    if not isinstance(bins, Tensor) and bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins}")
    flat = input.detach().reshape(-1)
    edges = _edges(flat, bins, low, high)
    at, inside = _bins(flat, edges)
    counted = (flat.new_ones(flat.shape) if weight is None else weight.detach().reshape(-1)) * (
        inside.to(flat.dtype))
    hist = flat.new_zeros(edges.numel() - 1).scatter_add(0, at.to(dtypes.int64), counted)
    if density:
        hist = hist / hist.sum() / (edges[1:] - edges[:-1])
    result = return_types.histogram((hist, edges))
    return _written(out, result)


def _written(out: Any, results: Any) -> Any:
    if out is None:
        return results
    for target, result in zip(out, results, strict=True):
        target.resize_(result.shape).copy_(result)
    return out


def histogramdd(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None,
    weight: Tensor | None = None, density: bool = False, out: Any = None,
) -> Any:
    """How many points fall into each box of a grid.

    Args:
        input: points, whose coordinates stand in the last dimension.
        bins: for each coordinate the number of bins or their edges; or one number for all.
        range: the first and the last edge of each coordinate, one after the other.
        weight: what each point counts.
        density: divide by the total and by the volumes of the boxes.

    Returns:
        The histogram, and a tuple of the edges.
    """
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    points = input.detach().reshape(-1, input.shape[-1])
    dims = points.shape[1]
    _check("torch.histogramdd", input, weight, points.shape[0])
    given = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(given) != dims:
        raise RuntimeError(
            f"torch.histogramdd: expected {dims} sequences of bin edges or bin counts for a "
            f"{dims}-dimensional histogram but got {len(given)}")
    limits = [(None, None)] * dims if range is None else list(zip(
        range[::2], range[1::2], strict=True))
    edges = [_edges(points[:, d], b, *limits[d]) for d, b in enumerate(given)]
    place: Any = points.new_zeros(points.shape[0], dtype=dtypes.int64)
    inside: Any = points[:, 0] == points[:, 0]
    for d, e in enumerate(edges):
        at, within = _bins(points[:, d], e)
        place, inside = place * (e.numel() - 1) + at, inside & within
    counted = points.new_ones(points.shape[0]) if weight is None else weight.detach().reshape(-1)
    shape = [e.numel() - 1 for e in edges]
    total = 1
    for n in shape:
        total *= n
    hist = points.new_zeros(total).scatter_add(
        0, place.to(dtypes.int64), counted * inside.to(points.dtype)).reshape(shape)
    if density:
        hist = hist / hist.sum()
        for d, e in enumerate(edges):
            widths = e[1:] - e[:-1]
            hist = hist / widths.reshape([-1 if i == d else 1 for i in _each(dims)])
    return _written(out, return_types.histogramdd((hist, tuple(edges))))


def _each(n: int) -> Any:
    import builtins

    return builtins.range(n)


setattr(Tensor, "histogram", histogram)  # noqa: B010
