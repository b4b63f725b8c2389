"""Differences of neighbours, and integrals by trapezoids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.ops.compare import logical_xor
from flambeau.ops.join import cat
from flambeau.ops.reduce import sum
from flambeau.ops.scan import cumsum
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _diff_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(5))
    yield sample(make(3, 4), 2)
    yield sample(make(3, 4), 1, 0)
    yield sample(make(3, 4), 1, 1, make(3, 1), make(3, 2))
    yield sample(make(3, 2), 3)


def _diff_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "at least one-dimensional", make())
    yield error(RuntimeError, "order must be non-negative", make(3), -1)
    yield error(IndexError, "Dimension out of range", make(3), 1, 1)


@composite(
    "diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor",
    dtypes="all", samples=_diff_samples, errors=_diff_errors,
)
def diff(
    self: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Any:
    """The n-th differences of neighbours along a dimension; of booleans whether they differ."""
    if not self.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = wrap_dim(dim, self.ndim)
    x = self
    if prepend is not None or append is not None:
        x = cat([t for t in (prepend, self, append) if t is not None], dim)
    if n == 0:
        return x.clone()
    for _ in range(min(n, x.shape[dim])):
        size = x.shape[dim]
        if not size:
            break
        later, earlier = x.narrow(dim, 1, size - 1), x.narrow(dim, 0, size - 1)
        x = logical_xor(later, earlier) if x.dtype is dtypes.bool else later - earlier
    return x


def _slices(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """All elements but the first, and all but the last."""
    size = max(x.shape[dim] - 1, 0)
    return x.narrow(dim, x.shape[dim] - size, size), x.narrow(dim, 0, size)


def _steps(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> Any:
    """The distances of neighbours: a number, or a tensor that broadcasts to y's differences.

    Raises:
        RuntimeError: if points are given as a 0-d tensor, or are no match for y.
    """
    if x is None:
        return dx
    if not x.ndim:
        raise RuntimeError(
            f"{name}: There must be one `x` value for each sample point, got a 0-d tensor")
    if x.ndim == 1:
        if x.shape[0] != y.shape[dim]:
            raise RuntimeError(
                f"{name}: There must be one `x` value for each sample point")
        later, earlier = _slices(x, 0)
        return (later - earlier).reshape([-1] + [1] * (y.ndim - 1 - dim))
    padded = x.reshape([1] * (y.ndim - x.ndim) + list(x.shape)) if x.ndim < y.ndim else x
    later, earlier = _slices(padded, dim)
    return later - earlier


def _trapezoids(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> Any:
    steps = _steps(name, y, x, dx, dim)
    later, earlier = _slices(y, dim)
    return (later + earlier) * steps * 0.5


def _area_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(5))
    yield sample(make(3, 4), make(4))
    yield sample(make(3, 4), make(3, 4))
    yield Sample((make(3, 4),), {"dx": 0.5, "dim": 0})


def _area_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "one `x` value for each sample point", make(3, 4), make(3))
    yield ErrorSample((make(3, 4),), {"dim": 2}, IndexError, "Dimension out of range")


def _register_area(name: str, words: str) -> Any:
    def area(y: Tensor, x: Tensor | None = None, dx: Any = 1, dim: int = -1) -> Any:
        dim = wrap_dim(dim, y.ndim)
        if not y.shape[dim]:
            return sum(y, dim) * 0.5
        return sum(_trapezoids(name, y, x, dx, dim), dim)

    area.__doc__ = words
    return composite(
        f"{name}(Tensor y, Tensor? x=None, *, Scalar dx=1, int dim=-1) -> Tensor",
        dtypes="floating_complex", method=False, out=False, samples=_area_samples,
        errors=_area_errors,
    )(area)


_register_area("trapezoid", "The integral along a dimension by the trapezoidal rule, of samples "
               "at points ``x`` or ``dx`` apart.")
_register_area("trapz", "The older name of ``trapezoid``.")


@composite(
    "cumulative_trapezoid(Tensor y, Tensor? x=None, *, Scalar dx=1, int dim=-1) -> Tensor",
    dtypes="floating_complex", method=False, out=False, samples=_area_samples, errors=_area_errors,
)
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, dx: Any = 1, dim: int = -1
) -> Any:
    """The running integral along a dimension by the trapezoidal rule: one element fewer."""
    dim = wrap_dim(dim, y.ndim)
    return cumsum(_trapezoids("cumulative_trapezoid", y, x, dx, dim), dim)


# ---- derivatives on a grid ---------------------------------------------------------------------
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> list[Tensor]:
    """Derivatives of a function given on a grid: second-order central differences inside.

    Args:
        input: values on the grid.
        spacing: the distance between neighbours, one for each dimension, or their coordinates.
        dim: the dimensions; all if None.
        edge_order: 1 or 2, the order at the ends.

    Returns:
        One tensor of the input's shape for each dimension.

    Raises:
        RuntimeError: for an order other than 1 and 2, too few points, or a spacing that does not
            match.
    """
    if edge_order not in (1, 2):
        raise RuntimeError(
            f"torch.gradient only supports edge_order=1 and edge_order=2 but got {edge_order}")
    spacing = 1 if spacing is None else spacing
    several = isinstance(spacing, (list, tuple))
    if dim is None:  # a single coordinate tensor means the last... all dimensions share a number
        dims = list(range(input.ndim))
    else:
        dims = [wrap_dim(d, input.ndim) for d in ([dim] if isinstance(dim, int) else dim)]
    if len(set(dims)) < len(dims):
        twice = max(dims, key=dims.count)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    spacings = list(spacing) if several else [spacing] * len(dims)
    if len(spacings) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
            f"{len(dims)} (one for each dim), but got a list of length {len(spacings)}")
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1")
    x = input if input.dtype.category >= 2 else input.to(dtypes.get_default_dtype())
    return [_slope(x, d, s, edge_order) for d, s in zip(dims, spacings, strict=True)]


def _slope(x: Tensor, dim: int, spacing: Any, order: int) -> Any:
    n = x.shape[dim]

    def at(start: int, count: int) -> Any:
        return x.narrow(dim, start, count)

    if isinstance(spacing, Tensor) and spacing.ndim:
        if spacing.shape[0] != n:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have the size of its "
                "dimension")
        shape = [-1 if i == dim else 1 for i in range(x.ndim)]
        steps = (spacing[1:] - spacing[:-1]).to(x.dtype).reshape(shape)

        def step(start: int, count: int) -> Any:
            return steps.narrow(dim, start, count)
    else:
        number = spacing.item() if isinstance(spacing, Tensor) else spacing

        def step(start: int, count: int) -> Any:
            return number

    parts = []
    a, b = step(0, n - 2), step(1, n - 2)
    if n > 2:
        inner = (at(2, n - 2) * (a / b) - at(0, n - 2) * (b / a)) / (a + b) + (
            at(1, n - 2) * ((b - a) / (a * b)))
        parts = [inner]
    return cat([_edge(at, step, 0, order, n), *parts, _edge(at, step, n - 1, order, n)], dim)


def _edge(at: Any, step: Any, where: int, order: int, n: int) -> Any:
    """The one-sided difference at the first or last point."""
    first = where == 0
    if order == 1:
        return (at(1, 1) - at(0, 1)) / step(0, 1) if first else (
            at(n - 1, 1) - at(n - 2, 1)) / step(n - 2, 1)
    if first:
        a, b = step(0, 1), step(1, 1)
        return (at(0, 1) * -((2 * a + b) / (a * (a + b))) + at(1, 1) * ((a + b) / (a * b))
                - at(2, 1) * (a / (b * (a + b))))
    a, b = step(n - 3, 1), step(n - 2, 1)
    return (at(n - 3, 1) * (b / (a * (a + b))) - at(n - 2, 1) * ((a + b) / (a * b))
            + at(n - 1, 1) * ((a + 2 * b) / (b * (a + b))))
