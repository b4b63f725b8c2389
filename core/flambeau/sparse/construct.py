"""Making sparse tensors from coordinates, from compressed rows or columns, and from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import flambeau as fb
from flambeau.ops.facts import sparse_bsc, sparse_bsr, sparse_coo, sparse_csc, sparse_csr
from flambeau.sparse.invariants import check_compressed, check_coordinates, is_checked
from flambeau.sparse.pattern import BLOCKED, BY_ROWS, COMPRESSED, Compressed, Coordinates, Pattern
from flambeau.sparse.tensor import SparseTensor, from_values, make
from flambeau.tensor import Tensor

__all__ = [
    "sparse_bsc_tensor", "sparse_bsr_tensor", "sparse_compressed_tensor", "sparse_coo_tensor",
    "sparse_csc_tensor", "sparse_csr_tensor",
]


def _values(values: Any, dtype: Any, device: Any) -> Tensor:
    if isinstance(values, Tensor):
        result: Tensor = values.to(device=device, dtype=dtype)
        return result
    return fb.tensor(values, dtype=dtype, device=device)


def _indices(indices: Any, device: Any) -> Tensor:
    """Integer indices; int32 and int64 stay what they are."""
    given = indices if isinstance(indices, Tensor) else fb.tensor(indices)
    if given.dtype not in (fb.int64, fb.int32):
        given = given.long()
    result: Tensor = given.to(device=device)
    return result


def _finished(pattern: Pattern, values: Tensor, requires_grad: bool) -> Any:
    if requires_grad:
        made = make(pattern, values.detach())
        return made.requires_grad_()
    return from_values(pattern, values)


# ---- coordinates -------------------------------------------------------------------------------
def sparse_coo_tensor(
    indices: Any, values: Any = None, size: Sequence[int] | None = None, *, dtype: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None, is_coalesced: bool | None = None,
) -> Any:
    """A tensor of values at coordinates; places named twice hold the sum.

    Args:
        indices: (sparse dimensions, nnz).  A size alone makes a tensor without values.
        values: (nnz, *dense dimensions).
        size: of the tensor; if None, the least that holds all coordinates.
        is_coalesced: whether no place is named twice and the places are in order.

    Raises:
        RuntimeError: if the numbers of dimensions or of values do not fit, or, with
            ``check_invariants``, a coordinate is outside.
    """
    if values is None:
        return _without_values(size if size is not None else indices, dtype, device, requires_grad)
    held = _values(values, dtype, device)
    at = _indices(indices, held.device).long()
    if at.ndim == 1 and not at.numel():
        at = at.reshape(0, held.shape[0] if held.ndim else 1)
    if not held.ndim:
        held = held.expand(1)
    if at.ndim != 2:
        raise RuntimeError(
            f"indices must be sparse_dim x nnz, but got: {list(at.shape)}")
    if at.shape[1] != held.shape[0]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {at.shape[1]}, nnz "
            f"from values: {held.shape[0]}")
    shape = tuple(size) if size is not None else _least_shape(at, held)
    if len(shape) != at.shape[0] + held.ndim - 1:
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(shape)}, "
            f"sparse_dim = {at.shape[0]}, dense_dim = {held.ndim - 1}")
    if tuple(held.shape[1:]) != shape[at.shape[0] :]:
        raise RuntimeError(
            f"values has incorrect size, expected {[at.shape[1], *shape[at.shape[0]:]]}, got "
            f"{list(held.shape)}")
    if is_checked(check_invariants):
        check_coordinates(at, shape)
    return _finished(Coordinates(at, shape, bool(is_coalesced)), held, requires_grad)


def _least_shape(indices: Tensor, values: Tensor) -> tuple[int, ...]:
    if not indices.shape[1]:
        sizes = [0] * indices.shape[0]
    else:
        sizes = (indices.amax(1) + 1).tolist() if indices.shape[0] else []
        if indices.shape[0] and int(indices.amin()) < 0:
            raise RuntimeError("found negative index in indices; give the size and check them")
    return (*sizes, *values.shape[1:])


def _without_values(shape: Any, dtype: Any, device: Any, requires_grad: bool) -> Any:
    sizes = tuple(shape)
    at = fb.zeros(len(sizes), 0, dtype=fb.int64, device=device)
    held = fb.zeros(0, dtype=dtype, device=device)
    return _finished(Coordinates(at, sizes, True), held, requires_grad)


# ---- compressed --------------------------------------------------------------------------------
_NAMES: Final = {
    sparse_csr: ("crow_indices", "col_indices"), sparse_bsr: ("crow_indices", "col_indices"),
    sparse_csc: ("ccol_indices", "row_indices"), sparse_bsc: ("ccol_indices", "row_indices"),
}


def _compressed(
    layout: Any, starts: Any, others: Any, values: Any, size: Any, dtype: Any, device: Any,
    requires_grad: bool, check_invariants: bool | None,
) -> Any:
    held = _values(values, dtype, device)
    first, second = _indices(starts, held.device), _indices(others, held.device)
    if not first.ndim or first.ndim != second.ndim:
        raise RuntimeError(
            f"{_NAMES[layout][0]} and {_NAMES[layout][1]} must have equally many dimensions, at "
            f"least 1, but got {first.ndim} and {second.ndim}")
    batch = first.ndim - 1
    if tuple(held.shape[: batch + 1]) != tuple(second.shape):
        raise RuntimeError(
            f"number of values and of {_NAMES[layout][1]} differ: {list(held.shape)} and "
            f"{list(second.shape)}")
    block = tuple(held.shape[batch + 1 : batch + 3]) if layout in BLOCKED else (1, 1)
    if len(block) != 2:
        raise RuntimeError(f"values of {layout} need two dimensions for a block after the first")
    shape = tuple(size) if size is not None else _compressed_shape(
        layout, first, second, held, block)
    pattern = Compressed(layout, first, second, shape, block)
    if is_checked(check_invariants):
        check_compressed(pattern, held)
    return _finished(pattern, held, requires_grad)


def _compressed_shape(
    layout: Any, starts: Tensor, others: Tensor, values: Tensor, block: tuple[int, ...]
) -> tuple[int, ...]:
    batch = starts.ndim - 1
    lines = starts.shape[-1] - 1
    width = int(others.amax()) + 1 if others.numel() else 0
    rows, cols = (lines, width) if layout in BY_ROWS else (width, lines)
    dense = values.shape[batch + 1 + 2 * (layout in BLOCKED) :]
    return (*starts.shape[:-1], rows * block[0], cols * block[1], *dense)


def sparse_compressed_tensor(
    compressed_indices: Any, plain_indices: Any, values: Any, size: Any = None, *,
    dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False, check_invariants: bool | None = None,
) -> Any:
    """A tensor of compressed rows or columns, as ``layout`` says.

    Raises:
        RuntimeError: for a layout that is not compressed, or parts that do not fit.
    """
    if layout not in COMPRESSED:
        raise RuntimeError(
            "sparse_compressed_tensor expected sparse compressed tensor layout but got "
            f"{layout if layout is not None else 'none'}")
    return _compressed(
        layout, compressed_indices, plain_indices, values, size, dtype, device, requires_grad,
        check_invariants)


def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, *, dtype: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:
    """A tensor of compressed rows.

    Args:
        crow_indices: (*batch, rows + 1); where each row begins among the values.
        col_indices: (*batch, nnz); the column of each value.
        values: (*batch, nnz, *dense dimensions).
    """
    return _compressed(
        sparse_csr, crow_indices, col_indices, values, size, dtype, device, requires_grad,
        check_invariants)


def sparse_csc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, *, dtype: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:
    """A tensor of compressed columns; see :func:`sparse_csr_tensor`."""
    return _compressed(
        sparse_csc, ccol_indices, row_indices, values, size, dtype, device, requires_grad,
        check_invariants)


def sparse_bsr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, *, dtype: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:
    """A tensor of compressed rows of blocks; ``values`` is (*batch, nnz, *block, *dense)."""
    return _compressed(
        sparse_bsr, crow_indices, col_indices, values, size, dtype, device, requires_grad,
        check_invariants)


def sparse_bsc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, *, dtype: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:
    """A tensor of compressed columns of blocks; ``values`` is (*batch, nnz, *block, *dense)."""
    return _compressed(
        sparse_bsc, ccol_indices, row_indices, values, size, dtype, device, requires_grad,
        check_invariants)


# ---- without values ----------------------------------------------------------------------------
def zeros(
    shape: Sequence[int], layout: Any, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, sparse_dim: int | None = None,
) -> Any:
    """A tensor of a sparse layout that stores no value.

    Args:
        sparse_dim: how many of the dimensions have coordinates, of ``sparse_coo``; all if None.
    """
    sizes = tuple(shape)
    if layout is sparse_coo:
        n = len(sizes) if sparse_dim is None else sparse_dim
        at = fb.zeros(n, 0, dtype=fb.int64, device=device)
        held = fb.zeros((0, *sizes[n:]), dtype=dtype, device=device)
        return _finished(Coordinates(at, sizes, True), held, requires_grad)
    if layout not in (sparse_csr, sparse_csc) or len(sizes) < 2:
        raise RuntimeError(f"cannot make an empty tensor of layout {layout} and shape {sizes}")
    lines = sizes[-2] if layout is sparse_csr else sizes[-1]
    starts = fb.zeros((*sizes[:-2], lines + 1), dtype=fb.int64, device=device)
    others = fb.zeros((*sizes[:-2], 0), dtype=fb.int64, device=device)
    held = fb.zeros((*sizes[:-2], 0), dtype=dtype, device=device)
    return _finished(Compressed(layout, starts, others, sizes), held, requires_grad)


def zeros_of(pattern: Pattern, kind: Any) -> Any:
    """A tensor of the layout and shape of a pattern that stores no value."""
    if isinstance(pattern, Coordinates):
        return zeros(
            pattern.shape, sparse_coo, kind.dtype, kind.device, sparse_dim=pattern.sparse_dim)
    batch = tuple(pattern.starts.shape[:-1])
    tail = (*(pattern.blocksize if pattern.is_blocked else ()),
            *tuple(pattern.shape)[pattern.batch_dim + 2 :])
    held = fb.zeros((*batch, 0, *tail), dtype=kind.dtype, device=kind.device)
    return make(Compressed(
        pattern.layout, fb.zeros_like(pattern.starts), pattern.others.new_zeros(*batch, 0),
        pattern.shape, pattern.blocksize), held)


def zeros_like(input: SparseTensor, **options: Any) -> Any:
    """A tensor of the layout and shape of a sparse one that stores no value."""
    from flambeau.kind import kind_of

    kind = kind_of(
        options.get("device") or input.device, options.get("dtype") or input.dtype)
    wanted = options.get("layout")
    if wanted is fb.strided:
        return fb.zeros(input.shape, dtype=kind.dtype, device=kind.device)
    made = zeros_of(input._pattern, kind)
    return made.requires_grad_() if options.get("requires_grad") else made


