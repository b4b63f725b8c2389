"""Matrix products with sparse matrices."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.ops.facts import sparse_coo
from flambeau.sparse.convert import coalesced, to_sparse, to_sparse_coo
from flambeau.sparse.elementwise import add, mul
from flambeau.sparse.pattern import Compressed, Coordinates
from flambeau.sparse.shapes import transpose
from flambeau.sparse.tensor import SparseTensor, from_values, implements, to_dense, values_of
from flambeau.tensor import Tensor


def _check(name: str, a: Any, b: Any) -> None:
    if a.ndim != 2 or b.ndim not in (1, 2):
        raise RuntimeError(
            f"{name}: expected matrices, but got tensors of {a.ndim} and {b.ndim} dimensions")
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"{name}: shapes cannot be multiplied ({'x'.join(map(str, a.shape))} and "
            f"{'x'.join(map(str, b.shape))})")


def _sparse_by_dense(a: Any, b: Tensor) -> Tensor:
    """(m, k) sparse by (k, n) or (k,) dense: each value takes a row of ``b`` to its row."""
    pattern = a._pattern
    if isinstance(pattern, Compressed) and not pattern.is_blocked:
        at, values = pattern.coordinates, pattern.flat(values_of(a))
    elif isinstance(pattern, Compressed):
        at, values = coalesced(a)
    else:
        at, values = pattern, values_of(a)
    if at.sparse_dim != 2:
        raise RuntimeError(f"mm: expected 2 sparse dimensions, got {at.sparse_dim}")
    rows = fb.index_select(b, 0, at.indices[1])
    terms = values.reshape(-1, *(1,) * (b.ndim - 1)) * rows
    total: Tensor = fb.index_add(
        terms.new_zeros(a.shape[0], *b.shape[1:]), 0, at.indices[0], terms)
    return total


def _sparse_by_sparse(a: Any, b: Any) -> Any:
    """(m, k) by (k, n), both sparse: every value of ``a`` meets the values of a row of ``b``."""
    at, x = coalesced(a)
    there, y = coalesced(b)
    starts = fb.searchsorted(
        there.indices[0].contiguous(), fb.arange(b.shape[0] + 1, device=x.device))
    sizes = starts[1:] - starts[:-1]
    column = at.indices[1]
    meets = fb.index_select(sizes, 0, column)
    left = fb.repeat_interleave(fb.arange(at.nnz, device=x.device), meets)
    begins = fb.index_select(starts, 0, column) - (meets.cumsum(0) - meets)
    right = fb.arange(left.shape[0], device=x.device) + fb.index_select(begins, 0, left)
    terms = fb.index_select(x, 0, left) * fb.index_select(y, 0, right)
    indices = fb.stack([
        fb.index_select(at.indices[0], 0, left), fb.index_select(there.indices[1], 0, right)])
    shape = (a.shape[0], b.shape[1])
    result = from_values(*Coordinates(indices, shape).coalesce(terms))
    both = a.layout is not sparse_coo and b.layout is not sparse_coo
    return to_sparse(result, layout=fb.sparse_csr) if both else result


@implements("mm", "matmul", "mv")
def matmul(self: Any, other: Any) -> Any:
    """The matrix product: sparse of two sparse matrices, else dense."""
    if self.ndim == 3 or other.ndim == 3:
        return bmm(self, other)
    if not isinstance(self, SparseTensor):
        if self.ndim == 1:
            return matmul(transpose(other, 0, 1), self)
        _check("mm", self, other)
        return _sparse_by_dense(transpose(other, 0, 1), self.t()).t()
    _check("mm", self, other)
    if isinstance(other, SparseTensor):
        return _sparse_by_sparse(self, other)
    return _sparse_by_dense(self, other)


@implements("bmm")
def bmm(self: Any, mat2: Any) -> Tensor:
    """Products of the matrices of a batch; dense."""
    if self.ndim != 3 or mat2.ndim != 3 or isinstance(mat2, SparseTensor):
        raise RuntimeError("bmm: expected a sparse and a dense tensor, both of 3 dimensions")
    if self.shape[0] != mat2.shape[0] or self.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            f"bmm: shapes {list(self.shape)} and {list(mat2.shape)} do not fit")
    pattern, values = coalesced(self)
    b, m, k = self.shape
    batch, row, col = pattern.indices
    flat = Coordinates(fb.stack([batch * m + row, batch * k + col]), (b * m, b * k), True)
    result: Tensor = _sparse_by_dense(
        from_values(flat, values), mat2.reshape(b * k, -1)).reshape(b, m, mat2.shape[2])
    return result


@implements("linear")
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """``input @ weight.T + bias``."""
    turned = transpose(weight, 0, 1) if isinstance(weight, SparseTensor) else weight.t()
    if input.ndim > 2 and not isinstance(input, SparseTensor):
        out = matmul(input.reshape(-1, input.shape[-1]), turned).reshape(*input.shape[:-1], -1)
    else:
        out = matmul(input, turned)
    return out if bias is None else out + bias


@implements("addmm")
def addmm(self: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * self + alpha * (mat1 @ mat2)``; dense if ``self`` is."""
    product = matmul(mat1, mat2) if (
        isinstance(mat1, SparseTensor) or isinstance(mat2, SparseTensor)) else mat1 @ mat2
    if isinstance(self, SparseTensor):
        scaled = mul(self, beta)
        return add(scaled, product if isinstance(product, SparseTensor)
                   else to_sparse_coo(product), alpha=alpha)
    if isinstance(product, SparseTensor):
        return self * beta + to_dense(product) * alpha
    return self * beta + product * alpha


@implements("addmv")
def addmv(self: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * self + alpha * (mat @ vec)``."""
    return self * beta + matmul(mat, vec) * alpha


def smm(input: Any, mat: Tensor) -> Any:
    """The product of a sparse and a dense matrix as a sparse matrix."""
    return _rows(input, mat)


def hspmm(mat1: Any, mat2: Tensor, *, out: Any = None) -> Any:
    """The product of a sparse and a dense matrix, sparse in its rows only."""
    result = _rows(mat1, mat2, hybrid=True)
    return result if out is None else out.copy_(result)


def _rows(a: Any, b: Tensor, hybrid: bool = False) -> Any:
    _check("smm", a, b)
    if not isinstance(a, SparseTensor):
        raise RuntimeError("smm: the first matrix must be sparse")
    dense = _sparse_by_dense(a, b)
    used = fb.unique(coalesced(a)[0].indices[0]).reshape(1, -1)
    shape = (a.shape[0], b.shape[1])
    rows = fb.index_select(dense, 0, used[0])
    if hybrid:
        return from_values(Coordinates(used, shape, True), rows)
    columns = fb.arange(shape[1], device=b.device)
    indices = fb.stack([
        used[0].unsqueeze(1).expand(-1, shape[1]).reshape(-1),
        columns.expand(used.shape[1], -1).reshape(-1)])
    return from_values(Coordinates(indices, shape, True), rows.reshape(-1))


def sspaddmm(
    input: Any, mat1: Any, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None
) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)`` as a sparse matrix."""
    result = add(mul(input, beta), smm(mat1, mat2), alpha=alpha)
    return result if out is None else out.copy_(result)
