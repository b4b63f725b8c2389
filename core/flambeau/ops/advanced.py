"""Indexing by tensors: ``index`` and ``index_put``, the functions behind ``x[tensor]``.

The indices are folded into one linear index over the indexed dimensions, so that gather and
scatter do the work on every backend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flambeau import dtypes
from flambeau.caution import warn
from flambeau.layout import broadcast_shapes, contiguous_strides, product
from flambeau.ops.compare import where
from flambeau.ops.index import each_once, gather, nonzero, scatter_add, scatter_elements
from flambeau.ops.shape import permute, reshape
from flambeau.ops.writing import writes_through
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

Indices = Sequence[Tensor | None]


# ---- what an index means -----------------------------------------------------------------------
def mask_of(t: Tensor) -> Tensor | None:
    """A tensor of booleans as it is, one of bytes as booleans with a warning, else None."""
    if t.dtype is dtypes.uint8:
        warn(
            "indexing with dtype flambeau.uint8 is now deprecated, please use a dtype "
            "flambeau.bool instead.")
        mask: Tensor = t.bool()
        return mask
    return t if t.dtype is dtypes.bool else None


def check_mask(mask: Tensor, shape: Sequence[int], at: int) -> None:
    """Refuse a mask whose shape is not that of the dimensions from ``at`` on.

    Raises:
        IndexError: naming both shapes.
    """
    for d, n in enumerate(mask.shape):
        if at + d >= len(shape) or n != shape[at + d]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {d} does not match the shape "
                f"of the indexed tensor {list(shape)} at index {at + d}")


@dataclass(slots=True)
class _Places:
    """Indices, broadcast together and folded into one."""

    order: list[int]
    """The dimensions of the tensor, the indexed ones first."""
    indexed: int
    """How many are indexed."""
    shape: tuple[int, ...]
    """The common shape of the indices."""
    linear: Tensor
    """Positions in the indexed dimensions taken as one, of shape (count,)."""
    front: int
    """Dimensions of the result before those of the indices."""


def _places(self: Tensor, indices: Indices) -> _Places:
    """Find the elements that the indices name.

    Raises:
        IndexError: if there are too many indices, masks do not fit, or shapes do not broadcast.
    """
    found = _expanded(self, indices)
    dims = [d for d, i in enumerate(found) if i is not None]
    given = [i for i in found if i is not None]
    try:
        shape = broadcast_shapes(*(i.shape for i in given))
    except RuntimeError:
        shapes = ", ".join(str(list(i.shape)) for i in given)
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            f"{shapes}") from None
    sizes = [self.shape[d] for d in dims]
    linear = _linear(given, sizes).expand(shape).reshape(-1)
    neighbours = dims[-1] - dims[0] == len(dims) - 1
    order = dims + [d for d in range(self.ndim) if d not in dims]
    return _Places(order, len(dims), tuple(shape), linear, dims[0] if neighbours else 0)


def _beside(self: Tensor, index: Tensor) -> Tensor:
    """An index on the tensor's device; one on the CPU is moved there, as PyTorch does.

    Raises:
        RuntimeError: for an index on a third device.
    """
    where = index._kind.device
    if where is not self._kind.device and where.type != "cpu":
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor "
            f"({self.device}), but one is on {where}")
    return index if where is self._kind.device else index.to(self.device)


def _expanded(self: Tensor, indices: Indices) -> list[Tensor | None]:
    """One index per dimension: masks become the positions where they hold."""
    found: list[Tensor | None] = []
    for item in indices:
        mask = None if item is None else mask_of(item)
        if item is None:
            found.append(None)
        elif mask is None:
            if item.dtype is not dtypes.int64 and item.dtype is not dtypes.int32:
                raise IndexError(
                    "tensors used as indices must be long, int, byte or bool tensors")
            found.append(_beside(self, item).long())
        else:
            check_mask(mask, self.shape, len(found))
            found += nonzero(_beside(self, mask)).unbind(1)
    if len(found) > self.ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {self.ndim} (got {len(found)})")
    if all(i is None for i in found):
        raise IndexError("at least one index must be a tensor")
    return found


def _linear(given: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """One index over dimensions of the sizes given, row-major.

    What is out of range in any dimension is sent out of range here too, so that the gather or
    scatter that follows refuses it, without asking the device here.
    """
    total: Any = None
    for index, size, stride in zip(given, sizes, contiguous_strides(sizes), strict=True):
        wrapped = where(index < 0, index + size, index)
        if len(sizes) > 1:
            wrapped = where((wrapped >= 0) & (wrapped < size), wrapped * stride, product(sizes))
        total = wrapped if total is None else total + wrapped
    result: Tensor = total
    return result


def _explain(indices: Indices, shape: Sequence[int]) -> None:
    """Raise the error that names the first index out of range."""
    dim = 0
    for item in indices:
        if item is not None and item.dtype is not dtypes.bool and item.numel():
            low, high, size = int(item.amin()), int(item.amax()), shape[dim]
            if low < -size or high >= size:
                raise IndexError(
                    f"index {low if low < -size else high} is out of bounds for dimension {dim} "
                    f"with size {size}")
        dim += item.ndim if item is not None and item.dtype is dtypes.bool else 1


def _rows(t: Tensor, places: _Places) -> Tensor:
    """A tensor as a matrix: the indexed dimensions against the others."""
    moved = permute(t, places.order)
    count = product(moved.shape[: places.indexed])
    result: Tensor = reshape(moved, (count, product(moved.shape[places.indexed :])))
    return result


def _placed(count: int, places: _Places) -> list[int]:
    """The order of dimensions that brings those of the indices to their place in the result.

    Args:
        count: number of dimensions of the result.
    """
    inner = len(places.shape)
    rest = list(range(inner, count))
    return rest[: places.front] + list(range(inner)) + rest[places.front :]


# ---- reading -----------------------------------------------------------------------------------
def _index_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), [make.index(3, 5)]), name="rows")
    yield Sample((make(3, 4), [None, make.index(4, 2, 3)]), name="columns")
    yield Sample((make(3, 4), [make.index(3, 5), make.index(4, 5)]), name="pairs")
    yield Sample((make(3, 4, 5), [make.index(3, 2, 1), None, make.index(5, 3)]), name="apart")
    yield Sample((make(3, 4, 5), [None, make.index(4, 2), make.index(5, 2)]), name="neighbours")
    yield Sample((make(3, 4), [make.mask(3, 4)]), name="mask")
    yield Sample((make(3, 4, 5), [None, make.mask(4)]), name="mask_inside")
    yield Sample((make(3, 4), [-make.index(3, 4) - 1]), name="negative")
    yield Sample((make(4, 3).t(), [make.index(3, 2)]), name="transposed")
    yield Sample((make(3, 4), [make.index(3, 0)]), name="nothing")


def _index_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "out of bounds", make(3, 4), [make.index(1, 2) + 3])
    yield error(IndexError, "out of bounds", make(3, 4), [None, make.index(1, 2) - 5])
    yield error(IndexError, "shape mismatch", make(3, 4), [make.index(3, 2), make.index(4, 3)])
    yield error(IndexError, "too many indices", make(3), [make.index(3, 2), make.index(3, 2)])
    yield error(IndexError, "shape of the mask", make(3, 4), [make.mask(4)])
    yield error(IndexError, "long, int, byte or bool", make(3, 4), [make(2)])


def _index_back(
    g: Tensor, needs: tuple[bool, ...], self_shape: Sequence[int], indices: Indices
) -> tuple[Any, ...]:
    zeros: Tensor = g.new_zeros(tuple(self_shape))
    return (index_put(zeros, indices, g, True), *([None] * len(indices)))


@composite(
    "index(Tensor self, Tensor[] indices) -> Tensor", namespaces=("_internal",), method=False,
    dtypes="all", joint=_index_back, samples=_index_samples, errors=_index_errors, out=False,
)
def index(self: Tensor, indices: Indices) -> Tensor:
    """``self[indices]``, with None for dimensions that are kept whole."""
    places = _places(self, indices)
    flat = _rows(self, places)
    if not flat.shape[1]:  # a gather of nothing would not look at the index
        _explain(indices, self.shape)
    at = places.linear.unsqueeze(1).expand(-1, flat.shape[1])
    try:
        taken = gather(flat, 0, at)
    except (IndexError, RuntimeError):
        _explain(indices, self.shape)
        raise
    rest = [self.shape[d] for d in places.order[places.indexed :]]
    shaped = reshape(taken, (*places.shape, *rest))
    result: Tensor = permute(shaped, _placed(shaped.ndim, places)) if places.front else shaped
    return result


# ---- writing -----------------------------------------------------------------------------------
def _put_samples(make: Make) -> Iterator[Sample]:
    rows = each_once(make, 3)  # no element twice: the result is defined
    yield Sample((make(3, 4), [rows], make(3, 4)), name="rows")
    yield Sample((make(3, 4), [rows], make(4)), name="broadcast")
    yield Sample((make(3, 4, 3), [None, each_once(make, 4)[:3]], make()), name="number")
    yield Sample((make(3, 4), [make.mask(3, 4)], make()), name="mask")
    yield Sample((make(3, 4, 3), [rows, None, rows], make(3, 4)), name="apart")
    yield Sample((make(4, 3).t(), [rows[:2]], make(2, 4)), name="transposed")
    yield Sample((make(3, 4), [make.index(3, 0)], make(4)), name="nothing")


def _put_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(IndexError, "out of bounds", make(3, 4), [make.index(1, 2) + 3], make())
    yield error(RuntimeError, "dtypes match", make(3), [make.index(3, 2)], make.index(3, 2))
    yield error(RuntimeError, "cannot be broadcast", make(3, 4), [make.index(3, 2)], make(3, 4))


def _put_back(
    g: Tensor, needs: tuple[bool, ...], values_shape: Sequence[int], indices: Indices,
    accumulate: bool,
) -> tuple[Any, ...]:
    for_self = for_values = None
    if needs[0]:
        for_self = g if accumulate else index_put(g, indices, g.new_zeros(()))
    if needs[-1]:
        for_values = index(g, indices)
    return (for_self, *([None] * len(indices)), for_values)


@writes_through
@composite(
    "index_put(Tensor self, Tensor[] indices, Tensor values, bool accumulate=False) -> Tensor",
    dtypes="numeric", joint=_put_back, samples=_put_samples, errors=_put_errors, inplace=True,
    out=False,
)
def index_put(
    self: Tensor, indices: Indices, values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy with ``out[indices] = values``, or ``+=`` with ``accumulate``."""
    if values.dtype is not self.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{self.dtype.name} for the destination and {values.dtype.name} for the source. "
            "Convert the source with .to(dtype).")
    if values._kind.device is not self._kind.device and values.ndim:
        raise RuntimeError(
            "index_put: Expected all tensors to be on the same device, but found at least two "
            f"devices, {self.device} and {values.device}! Move the values with "
            f'.to("{self.device}").')
    places = _places(self, indices)
    rest = [self.shape[d] for d in places.order[places.indexed :]]
    order = _placed(len(places.shape) + len(rest), places)
    whole = (*places.shape, *rest)
    wanted = [whole[d] for d in order]
    try:
        spread = values.to(self.device).expand(wanted)
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
            f"indexing result of shape {wanted}") from None
    flat = _rows(self, places)
    source = reshape(
        permute(spread, [order.index(d) for d in range(len(order))]),
        (places.linear.numel(), flat.shape[1]))
    at = places.linear.unsqueeze(1).expand(-1, flat.shape[1])
    put = scatter_add if accumulate else scatter_elements
    try:
        written = put(flat, 0, at, source)
    except (IndexError, RuntimeError):
        _explain(indices, self.shape)
        raise
    back = [places.order.index(d) for d in range(self.ndim)]
    result: Tensor = permute(reshape(written, [self.shape[d] for d in places.order]), back)
    return result


index_put_ = index_put.op.inplace_function  # type: ignore[attr-defined]
