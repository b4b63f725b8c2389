"""The Vandermonde matrix in the order of falling powers."""

from __future__ import annotations

from flambeau import dtypes
from flambeau.ops.eigen import linalg_vander
from flambeau.registry import composite
from flambeau.samples import error, sample
from flambeau.tensor import Tensor


@composite(
    "vander(Tensor x, int? N=None, bool increasing=False) -> Tensor", dtypes="numeric",
    method=False, out=False,
    samples=lambda make: iter([
        sample(make(3)), sample(make(4), 2), sample(make(3), 5, True), sample(make(2), 0)]),
    errors=lambda make: iter([
        error(RuntimeError, "one-dimensional", make(2, 3)),
        error(RuntimeError, "non-negative", make(3), -1)]),
)
def vander(x: Tensor, count: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix of the powers N - 1, ..., 1, 0 of a vector, one row per element.

    Args:
        count: how many powers (``N``); as many as elements if None.
        increasing: the powers 0, 1, ..., N - 1 in place of them.
    """
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x.shape[0] if count is None else count
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    dtype = x.dtype if x.dtype.category > 1 else dtypes.int64
    if n < 2:
        return x.new_ones((x.shape[0], n), dtype=dtype)
    powers: Tensor = linalg_vander(x.to(dtype), N=n)
    return powers if increasing else powers.flip(1)
