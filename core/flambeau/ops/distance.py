"""Distances between rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flambeau.layout import broadcast_shapes
from flambeau.ops.compare import where
from flambeau.ops.matmul import matmul
from flambeau.ops.pointwise import abs, sign
from flambeau.ops.shape import expand
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor

_MODES: Final = {
    "use_mm_for_euclid_dist_if_necessary": None, "use_mm_for_euclid_dist": True,
    "donot_use_mm_for_euclid_dist": False,
}
_ROWS: Final = 25  # from here on PyTorch takes the matrix product for Euclidean distances


def _cdist_samples(make: Make) -> Iterator[Sample]:
    # Halves round distances to ties, where the greatest one has no gradient to compare.
    orders = (2.0, 1.0, 3.5, 0.5, 0.0) + ((float("inf"),) if make.dtype.itemsize > 2 else ())
    for p in orders:
        yield Sample((make(3, 4), make(5, 4), p), name=f"p{p}")
    yield Sample((make(2, 3, 4), make(5, 4)), name="batch")
    # The matrix product is inexact where rows are close: these are not.
    yield Sample((make(30, 2), make(26, 2, low=4, high=8)), name="matmul")
    yield Sample((make(0, 4), make(5, 4)), name="empty")
    yield Sample((make(3, 0), make(5, 0)), name="no_columns")


def _cdist_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "same number of columns", make(3, 4), make(3, 5))
    yield error(RuntimeError, "at least 2D", make(4), make(3, 4))
    yield error(RuntimeError, "non-negative p", make(3, 4), make(3, 4), -1.0)
    yield error(RuntimeError, "floating-point", make.index(3, 3, 4), make.index(3, 3, 4))
    yield error(ValueError, "compute_mode", make(3, 4), make(3, 4), compute_mode="fast")


def _cdist_back(
    g: Tensor, needs: tuple[bool, ...], x1: Tensor, x2: Tensor, p: float, out: Tensor
) -> tuple[Any, Any]:
    """Gradients of all pairs, 0 where two rows are equal."""
    if p == 2:
        ratio = where(out == 0, 0, g / where(out == 0, 1, out))
        first = x1 * ratio.sum(-1, keepdim=True) - matmul(ratio, x2) if needs[0] else None
        turned = ratio.transpose(-2, -1)
        second = x2 * turned.sum(-1, keepdim=True) - matmul(turned, x1) if needs[1] else None
        return first, second
    difference = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    each = g.unsqueeze(-1) * _slope(difference, p, out.unsqueeze(-1))
    return (
        each.sum(-2) if needs[0] else None,
        -each.sum(-3) if needs[1] else None,
    )


def _slope(difference: Tensor, p: float, distance: Tensor) -> Tensor:
    """The derivative of a distance by each difference."""
    direction: Tensor = sign(difference)
    size: Tensor = abs(difference)
    if p == 0:
        return direction * 0
    if p == 1:
        return direction
    if p == float("inf"):
        largest: Tensor = (size == distance).to(direction.dtype)
        return direction * largest
    still = (distance == 0) | (difference == 0)
    ratio = where(still, 1, size / where(distance == 0, 1, distance))
    slope: Tensor = where(still, 0, direction * ratio ** (p - 1))
    return slope


@composite(
    "cdist(Tensor x1, Tensor x2, float p=2.0, "
    "str? compute_mode='use_mm_for_euclid_dist_if_necessary') -> Tensor",
    method=False, out=False, samples=_cdist_samples, errors=_cdist_errors,
)
def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """The p-distance of every row of x1 (..., P, M) to every row of x2 (..., R, M): (..., P, R).

    Args:
        compute_mode: whether Euclidean distances are computed by a matrix product, which is
            faster and less exact; by default if P or R exceed 25.
    """
    _check(x1, x2, p)
    if compute_mode is not None and compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    by_product = _MODES[compute_mode] if compute_mode is not None else None
    if by_product is None:
        by_product = max(x1.shape[-2], x2.shape[-2]) > _ROWS
    result: Tensor
    if x1.itemsize == 2:  # differences of squares would leave nothing of half precision
        result = cdist_rows(x1.float(), x2.float(), p, by_product).to(x1.dtype)
    else:
        result = cdist_rows(x1, x2, p, by_product)
    return result


def _rows_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(5, 4, low=4, high=8), 2.0, True)
    yield sample(make(2, 3, 4), make(5, 4), 1.5, False)


@composite(
    "cdist_rows(Tensor x1, Tensor x2, float p, bool by_product) -> Tensor",
    namespaces=("_internal",), method=False, out=False, joint=_cdist_back, samples=_rows_samples,
)
def cdist_rows(x1: Tensor, x2: Tensor, p: float, by_product: bool) -> Any:
    """The p-distances of rows, with their own gradient."""
    if p == 2 and by_product:
        squares = (x1 * x1).sum(-1, keepdim=True) + (x2 * x2).sum(-1).unsqueeze(-2)
        close = squares - 2 * matmul(x1, x2.transpose(-2, -1))
        return where(close < 0, 0, close).sqrt()
    size = abs(x1.unsqueeze(-2) - x2.unsqueeze(-3))
    if p == 1 or not size.shape[-1]:
        return size.sum(-1)
    if p == 0:
        return (size != 0).to(size.dtype).sum(-1)
    if p == 2:
        return (size * size).sum(-1).sqrt()
    if p == float("inf"):
        return size.amax(-1)
    return (size**p).sum(-1) ** (1.0 / p)


def _check(x1: Tensor, x2: Tensor, p: float) -> None:
    for name, x in (("X1", x1), ("X2", x2)):
        if not x.dtype.is_floating_point:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {name} got: {x.dtype.name}")
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} "
            f"X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    expand(x1, (*broadcast_shapes(x1.shape[:-2], x2.shape[:-2]), *x1.shape[-2:]))


@composite(
    "pdist(Tensor input, float p=2.0) -> Tensor", namespaces=("", "nn.functional"), method=False,
    out=False,
    samples=lambda make: iter([
        sample(make(4, 3)), sample(make(4, 3), 1.0), sample(make(1, 3)), sample(make(0, 3))]),
    errors=lambda make: iter([
        error(RuntimeError, "2D", make(3)), error(RuntimeError, "non-negative", make(3, 3), -1.0)]),
)
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-distances of all pairs of rows of a matrix, row i with the rows after it."""
    from flambeau.ops.diagonals import triu_indices

    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    n = input.shape[0]
    rows, columns = triu_indices(n, n, 1, device=input.device)
    every = cdist(input, input, p, "donot_use_mm_for_euclid_dist")
    result: Tensor = every[rows, columns]
    return result
