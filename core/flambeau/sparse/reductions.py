"""Sums, norms and softmax of sparse tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.layout import wrap_dim
from flambeau.ops.facts import sparse_coo
from flambeau.sparse.convert import coalesced, to_sparse
from flambeau.sparse.pattern import Coordinates
from flambeau.sparse.tensor import SparseTensor, from_values, implements, to_dense, values_of
from flambeau.tensor import Tensor


@implements("sum")
def total(
    self: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """The sum; over some dimensions it is sparse as long as a sparse dimension is left."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        result = values_of(self).sum(dtype=dtype)
        return result.reshape((1,) * self.ndim) if keepdim else result
    dims = {wrap_dim(d, self.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))}
    pattern, values = coalesced(self)
    n = pattern.sparse_dim
    if dtype is not None or not values.dtype.is_floating_point:
        values = values.to(dtype or (values.dtype if values.dtype.is_complex else fb.int64))
    dense = sorted(d - n + 1 for d in dims if d >= n)
    if dense:
        values = values.sum(dense, keepdim=keepdim)
    kept = [d for d in range(n) if d not in dims]
    tail = tuple(values.shape[1:])
    if not kept and not keepdim:
        return values.sum(0)
    rows = [pattern.indices[d] if d in kept else fb.zeros_like(pattern.indices[d])
            for d in range(n) if d in kept or keepdim]
    shape = [self.shape[d] if d in kept else 1 for d in range(n) if d in kept or keepdim]
    reduced = Coordinates(fb.stack(rows), (*shape, *tail))
    result = from_values(*reduced.coalesce(values))
    return result if self.layout is sparse_coo else to_sparse(result, layout=self.layout)


@implements("any")
def any_(self: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether any element is not 0."""
    if dim is not None:
        raise RuntimeError("any: over a dimension it is not implemented for sparse tensors")
    return coalesced(self)[1].any()


@implements("norm", "native_norm")
def norm(self: Any, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The norm of all elements."""
    if dim is not None and dim not in ((), []):
        raise RuntimeError("norm_sparse currently only supports full reductions")
    _, values = coalesced(self)
    result = fb.linalg.vector_norm(values, 2 if p in ("fro", None) else p, dtype=dtype)
    return result.reshape((1,) * self.ndim) if keepdim else result


def _by_line(self: Any, dim: int, dtype: Any, log: bool) -> Any:
    """Softmax over the values that each line along ``dim`` stores; others count as -inf."""
    pattern, values = coalesced(self)
    if dtype is not None:
        values = values.to(dtype)
    d, n = wrap_dim(dim, self.ndim), pattern.sparse_dim
    if d >= n:
        function = fb.log_softmax if log else fb.softmax
        return from_values(pattern, function(values, d - n + 1))
    rest = [i for i in range(n) if i != d]
    lines = Coordinates(
        fb.index_select(pattern.indices, 0, fb.tensor(rest, dtype=fb.int64, device=self.device)),
        (*(self.shape[i] for i in rest), *pattern.dense_shape))
    _, which = fb.unique(lines.keys, sorted=True, return_inverse=True)
    count = int(which.amax()) + 1 if which.numel() else 0
    at = which.reshape(-1, *(1,) * pattern.dense_dim).expand(values.shape)
    start = values.new_full((count, *pattern.dense_shape), float("-inf"))
    with fb.no_grad():
        top = fb.scatter_reduce(start, 0, at, values.detach(), "amax")
    shifted = values - fb.index_select(top, 0, which)
    powers = shifted.exp()
    sums = fb.index_select(fb.index_add(fb.zeros_like(start), 0, which, powers), 0, which)
    return from_values(pattern, shifted - sums.log() if log else powers / sums)


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Softmax over the stored values of each line along ``dim``; what is not stored stays 0."""
    return _by_line(_sparse("softmax", input), dim, dtype, log=False)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The logarithm of :func:`softmax` at the stored places."""
    return _by_line(_sparse("log_softmax", input), dim, dtype, log=True)


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of a sparse tensor, or over some of its dimensions."""
    return total(_sparse("sum", input), dim, dtype=dtype)


def _sparse(name: str, input: Any) -> Any:
    if not isinstance(input, SparseTensor):
        raise RuntimeError(f"sparse.{name}: expected a sparse tensor, got layout {input.layout}")
    return input


# ---- products with a reduction -----------------------------------------------------------------
def mm(mat1: Any, mat2: Any, reduce: str | None = None) -> Any:
    """The product of a sparse matrix and another; its gradient for the sparse one is sparse.

    Args:
        reduce: how the terms of an element are combined, of a compressed matrix and a dense one:
            "sum", "mean", "amax" or "amin".
    """
    if reduce is None:
        return fb.mm(mat1, mat2)
    if not isinstance(mat1, SparseTensor) or mat1.layout is sparse_coo or isinstance(
            mat2, SparseTensor):
        raise fb.errors.LayoutError(
            "sparse.mm: reduce needs a matrix of layout sparse_csr and a dense one, got "
            f"{mat1.layout} and {mat2.layout}")
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce must be sum, mean, amax or amin, got {reduce!r}")
    pattern, values = coalesced(mat1)
    row, column = pattern.indices
    terms = values.unsqueeze(1) * fb.index_select(mat2, 0, column)
    start = terms.new_zeros(mat1.shape[0], mat2.shape[1])
    return fb.scatter_reduce(
        start, 0, row.unsqueeze(1).expand(terms.shape), terms, reduce, include_self=False)


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * mat + alpha * (mat1 @ mat2)``, with a sparse ``mat1``."""
    return fb.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sampled_addmm(
    input: Any, mat1: Tensor, mat2: Tensor, *, beta: Any = 1.0, alpha: Any = 1.0, out: Any = None
) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)`` at the places of ``input`` only."""
    from flambeau.sparse.pattern import Compressed

    if not isinstance(input, SparseTensor) or not isinstance(input._pattern, Compressed):
        raise RuntimeError(
            f"sampled_addmm: Expected self to have layout sparse_csr, got {input.layout}")
    pattern = input._pattern
    if tuple(mat1.shape[-2:-1]) + tuple(mat2.shape[-1:]) != tuple(input.shape[-2:]) or (
            mat1.shape[-1] != mat2.shape[-2]):
        raise RuntimeError(
            f"sampled_addmm: mat1 @ mat2 of shapes {list(mat1.shape)} and {list(mat2.shape)} does "
            f"not have the shape of self, {list(input.shape)}")
    *batch, row, column = pattern.coordinates.indices
    left = mat1.expand(*input.shape[:-2], *mat1.shape[-2:])[(*batch, row)]
    right = mat2.mT.expand(*input.shape[:-2], *mat2.mT.shape[-2:])[(*batch, column)]
    values = (left * right).sum(-1).reshape(pattern.others.shape)
    result = from_values(pattern, values_of(input) * beta + values * alpha)
    return result if out is None else out.copy_(result)


def spdiags(
    diagonals: Tensor, offsets: Tensor, shape: Sequence[int], layout: Any = None
) -> Any:
    """A sparse matrix with given diagonals.

    Args:
        diagonals: (diagonals, length); column ``j`` of a diagonal stands in column ``j``.
        offsets: (diagonals,); 0 is the main one, positive ones stand above it.
        layout: ``sparse_coo`` if None.
    """
    diagonals = fb.atleast_2d(diagonals)
    offsets = fb.atleast_1d(offsets)
    if diagonals.ndim != 2 or offsets.ndim != 1 or len(shape) != 2:
        raise RuntimeError("spdiags: diagonals must be 2-d, offsets 1-d and shape of 2 sizes")
    if offsets.shape[0] != diagonals.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({diagonals.shape[0]}) does not match the number of offsets "
            f"({offsets.shape[0]})")
    given = offsets.tolist()
    if len(set(given)) < len(given):
        raise RuntimeError("Offset tensor contains duplicate values")
    length, place = diagonals.shape[1], diagonals.device
    rows, columns, values = [], [], []
    for k, offset in enumerate(given):
        begin = max(0, offset)
        end = max(begin, min(length, shape[1], shape[0] + offset))
        column = fb.arange(begin, end, device=place)
        rows.append(column - offset)
        columns.append(column)
        values.append(diagonals[k, begin:end])
    pattern = Coordinates(fb.stack([fb.cat(rows), fb.cat(columns)]), shape)
    made = from_values(pattern, fb.cat(values))
    return made if layout in (None, sparse_coo) else to_sparse(made, layout=layout)


def as_sparse_gradcheck(gradcheck: Any) -> Any:
    """A ``gradcheck`` that takes sparse inputs: their stored values are what is varied."""

    def check(func: Any, inputs: Any, **options: Any) -> Any:
        options.pop("masked", None)
        given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
        flat = [values_of(t).detach().clone().requires_grad_(t.requires_grad)
                if isinstance(t, SparseTensor) else t for t in given]
        patterns = [t._pattern if isinstance(t, SparseTensor) else None for t in given]

        def dense(*values: Any) -> Any:
            result = func(*(
                v if pattern is None else from_values(pattern, v)
                for v, pattern in zip(values, patterns, strict=True)))
            several = isinstance(result, (tuple, list))
            outs = tuple(to_dense(out) for out in (result if several else (result,)))
            return outs if several else outs[0]

        return gradcheck(dense, tuple(flat), **options)

    return check
