"""Products of tensors: tensordot, Kronecker, inner, cross, chains of matrices."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from flambeau.caution import warn
from flambeau.layout import broadcast_shapes, product, wrap_dim
from flambeau.ops.complex import conj
from flambeau.ops.grid import listed
from flambeau.ops.matmul import matmul
from flambeau.ops.rearrange import roll
from flambeau.ops.shape import expand, permute, reshape
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


# ---- contraction -------------------------------------------------------------------------------
def _tensordot_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3, 4), make(3, 4, 5))
    yield sample(make(2, 3), make(3, 4), 1)
    yield sample(make(2, 3), make(4, 5), 0)
    yield sample(make(2, 3, 4), make(4, 2), ([0, 2], [1, 0]))
    yield sample(make(3, 1), make(3, 4), ([1], [0]))


def _tensordot_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "contracted dimensions need to match", make(2, 3), make(2, 3), 1)
    yield error(RuntimeError, "same length", make(2, 3), make(3, 2), ([0], [0, 1]))
    yield error(RuntimeError, "dims >= 0", make(2, 3), make(3, 2), -1)
    yield error(RuntimeError, "dims < ndim", make(2, 3), make(3, 2), 3)


def _paired_dims(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    """The dimensions of each tensor that are summed over, one with another."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(a.ndim - dims, a.ndim)), list(range(dims))
    first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError(
            f"tensordot: both dimension lists should have same length, got {first} and {second}")
    return [wrap_dim(d, a.ndim) for d in first], [wrap_dim(d, b.ndim) for d in second]


@composite(
    "tensordot(Tensor a, Tensor b, Any dims=2) -> Tensor", dtypes="numeric", method=False,
    samples=_tensordot_samples, errors=_tensordot_errors,
)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over pairs of dimensions.

    Args:
        dims: a number, for the last of ``a`` with the first of ``b``, or two lists.
    """
    first, second = _paired_dims(a, b, dims)
    for i, j in zip(first, second, strict=True):
        if a.shape[i] != b.shape[j]:
            if 1 not in (a.shape[i], b.shape[j]):
                raise RuntimeError(
                    f"contracted dimensions need to match, but first has size {a.shape[i]} in dim "
                    f"{i} and second has size {b.shape[j]} in dim {j}")
            a = a.sum(i, keepdim=True)  # the other one's size 1 stands for all
            b = b.sum(j, keepdim=True)
    left = [d for d in range(a.ndim) if d not in first]
    right = [d for d in range(b.ndim) if d not in second]
    inner = product(a.shape[d] for d in first)
    rows, columns = [a.shape[d] for d in left], [b.shape[d] for d in right]
    flat = matmul(
        reshape(permute(a, left + first), (product(rows), inner)),
        reshape(permute(b, second + right), (inner, product(columns))))
    result: Tensor = reshape(flat, (*rows, *columns))
    return result


@composite(
    "inner(Tensor self, Tensor other) -> Tensor", dtypes="numeric",
    samples=lambda make: iter([
        sample(make(3), make(3)), sample(make(2, 3), make(4, 5, 3)), sample(make(2, 3), make())]),
    errors=lambda make: iter([
        error(RuntimeError, "last dimension must match", make(2, 3), make(2, 4))]),
)
def inner(self: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last dimensions; with a number, the product."""
    if not self.ndim or not other.ndim:
        return self * other
    if self.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(self.shape)} and {list(other.shape)}")
    result: Tensor = tensordot(self, other, ([-1], [-1]))
    return result


@composite(
    "vdot(Tensor self, Tensor other) -> Tensor", dtypes="numeric",
    samples=lambda make: iter([sample(make(3), make(3)), sample(make(0), make(0))]),
    errors=lambda make: iter([error(RuntimeError, "1D tensors", make(2, 2), make(2, 2))]),
)
def vdot(self: Tensor, other: Tensor) -> Tensor:
    """The product of two vectors, the first one conjugated."""
    if self.ndim != 1 or other.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {self.ndim}D and {other.ndim}D tensors")
    result: Tensor = matmul(conj(self) if self.dtype.is_complex else self, other)
    return result


@composite(
    "kron(Tensor self, Tensor other) -> Tensor", dtypes="numeric",
    samples=lambda make: iter([
        sample(make(2, 3), make(3, 2)), sample(make(2, 3), make(2)), sample(make(), make(2))]),
    errors=lambda make: iter([error(TypeError, "must be Tensor", make(2), 1.0)]),
)
def kron(self: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: a block ``self[i] * other`` for every element of ``self``."""
    ndim = max(self.ndim, other.ndim)
    a, b = ([1] * (ndim - t.ndim) + list(t.shape) for t in (self, other))
    left = reshape(self, [n for size in a for n in (size, 1)])
    right = reshape(other, [n for size in b for n in (1, size)])
    result: Tensor = reshape(left * right, [n * m for n, m in zip(a, b, strict=True)])
    return result


# ---- cross product -----------------------------------------------------------------------------
def _cross_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "must have length 3", make(2, 4), make(2, 4), dim=1)
    yield error(RuntimeError, "same number of dimensions", make(2, 3), make(3), dim=-1)


@composite(
    "linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor", dtypes="numeric",
    namespaces=("linalg",), method=False, errors=_cross_errors,
    samples=lambda make: iter([
        sample(make(2, 3), make(2, 3)), sample(make(3, 4), make(3, 1), dim=0)]),
)
def linalg_cross(self: Tensor, other: Tensor, dim: int = -1) -> Tensor:
    """The cross product of vectors of three numbers along a dimension."""
    if self.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    at = wrap_dim(dim, self.ndim)
    if self.shape[at] != 3 or other.shape[at] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {self.shape[at]} and "
            f"{other.shape[at]}")
    shape = broadcast_shapes(self.shape, other.shape)
    a, b = expand(self, shape), expand(other, shape)
    result: Tensor = roll(a, -1, at) * roll(b, -2, at) - roll(a, -2, at) * roll(b, -1, at)
    return result


@composite(
    "cross(Tensor self, Tensor other, int? dim=None) -> Tensor", dtypes="numeric",
    errors=_cross_errors,
    samples=lambda make: iter([sample(make(2, 3), make(2, 3), 1), sample(make(3), make(3), 0)]),
)
def cross(self: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors along a dimension, the first of size 3 if it is None."""
    if dim is None:
        warn(
            "Using cross without specifying the dim arg is deprecated. Please either pass the dim "
            "explicitly or simply use linalg.cross. The default value of dim will change to agree "
            "with that of linalg.cross in a future release.")
        found = [d for d, n in enumerate(self.shape) if n == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0]
    result: Tensor = linalg_cross(self, other, dim=dim)
    return result


# ---- chains ------------------------------------------------------------------------------------
def _best_splits(sizes: Sequence[int]) -> list[list[int]]:
    """Where to split each part of a chain of matrices so that the fewest products are needed.

    Matrix i is ``sizes[i]`` by ``sizes[i + 1]``.  Dynamic programming over parts of growing
    length (Cormen et al., Introduction to Algorithms, section 14.2).
    """
    count = len(sizes) - 1
    cost = [[0] * count for _ in range(count)]
    split = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = [
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i][j], split[i][j] = min(options)
    return split


def _chain(tensors: Sequence[Tensor], split: list[list[int]], i: int, j: int) -> Tensor:
    if i == j:
        return tensors[i]
    k = split[i][j]
    result: Tensor = matmul(
        _chain(tensors, split, i, k), _chain(tensors, split, k + 1, j))
    return result


def _multi_dot_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "at least 2 tensors", [make(2, 3)])
    yield error(RuntimeError, "cannot be multiplied", [make(2, 3), make(2, 3)])
    yield error(RuntimeError, "must be 2D", [make(2, 3), make(3), make(3, 2)])
    yield error(RuntimeError, "1D or 2D", [make(2, 3), make(3, 2, 2)])


@composite(
    "multi_dot(Tensor[] tensors) -> Tensor", dtypes="numeric", namespaces=("linalg",),
    errors=_multi_dot_errors,
    samples=lambda make: iter([
        sample([make(2, 3), make(3, 4)]), sample([make(2, 9), make(9, 2), make(2, 8), make(8, 1)]),
        sample([make(3), make(3, 4), make(4)])]),
)
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices in the cheapest order; the first and last may be vectors."""
    last = len(tensors) - 1
    if last < 1:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for word, t in (("first", tensors[0]), ("last", tensors[last])):
        if t.ndim not in (1, 2):
            raise RuntimeError(
                f"multi_dot(): the {word} tensor must be 1D or 2D but got {t.ndim}D")
    for i, t in enumerate(tensors[1:last], 1):
        if t.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {t.ndim}D")
    matrices = list(tensors)
    if matrices[0].ndim == 1:
        matrices[0] = matrices[0].unsqueeze(0)
    if matrices[last].ndim == 1:
        matrices[last] = matrices[last].unsqueeze(-1)
    for i in range(last):
        if matrices[i].shape[1] != matrices[i + 1].shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(tensors[i].shape)} and "
                f"{list(tensors[i + 1].shape)} cannot be multiplied")
    sizes = [matrices[0].shape[0], *(m.shape[1] for m in matrices)]
    result = _chain(matrices, _best_splits(sizes), 0, last)
    shape = [*tensors[0].shape[:-1], *tensors[last].shape[1:]]
    return reshape(result, shape)  # type: ignore[no-any-return]


def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the cheapest order; deprecated for ``linalg.multi_dot``."""
    warnings.warn(
        "chain_matmul is deprecated and will be removed in a future release. Use linalg.multi_dot "
        "instead, which accepts a list of two or more tensors rather than multiple parameters.",
        UserWarning, stacklevel=2)
    given = listed(matrices)
    result: Tensor = given[0] if len(given) == 1 else multi_dot(given, out=out)
    return result


@composite(
    "vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor", dtypes="numeric",
    namespaces=("linalg",), method=False,
    samples=lambda make: iter([sample(make(2, 3), make(3)), sample(make(3, 2), make(3, 1), dim=0)]),
    errors=lambda make: iter([error(RuntimeError, "must match", make(2, 3), make(2, 4))]),
)
def vecdot(x: Tensor, y: Tensor, dim: int = -1) -> Tensor:
    """The products of vectors along a dimension, the first ones conjugated."""
    shape = broadcast_shapes(x.shape, y.shape)
    a, b = expand(x, shape).movedim(dim, -1), expand(y, shape).movedim(dim, -1)
    left = (conj(a) if a.dtype.is_complex else a).unsqueeze(-2)
    result: Tensor = matmul(left, b.unsqueeze(-1)).squeeze(-1).squeeze(-1)
    return result


@composite(
    "linalg_diagonal(Tensor A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor",
    dtypes="all", namespaces=("linalg",), method=False, out=False,
    samples=lambda make: iter([sample(make(2, 3, 4)), sample(make(2, 3, 4), offset=1, dim1=0)]),
    errors=lambda make: iter([error(IndexError, "out of range", make(3))]),
)
def linalg_diagonal(A: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:  # noqa: N803
    """The diagonals of the last two dimensions, a view."""
    from flambeau.ops.shape import diagonal

    result: Tensor = diagonal(A, offset, dim1, dim2)
    return result
