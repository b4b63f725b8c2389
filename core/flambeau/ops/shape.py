"""Views and rearrangements: shapes without arithmetic on the elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import index
from typing import Any

from flambeau import dispatch, dtypes, modes
from flambeau.kind import kind_of
from flambeau.layout import (
    Layout,
    infer_shape,
    product,
    wrap_dim,
    wrap_dims,
)
from flambeau.memory_format import contiguous_format
from flambeau.modes import every_sample
from flambeau.registry import OpFunction, composite, view
from flambeau.samples import ErrorSample, Make, Sample, error, sample, unary_errors
from flambeau.tensor import Tensor, from_storage


def _sizes(shape: Any) -> tuple[int, ...]:
    """Sizes as ints, whatever integers they were given as."""
    return tuple(n if n.__class__ is int else index(n) for n in shape) if not isinstance(
        shape, int) else (shape,)


# ---- reordering dimensions ---------------------------------------------------------------------
def _permute_rule(layout: Layout, dims: Sequence[int]) -> Layout:
    if len(dims) != layout.ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {layout.ndim} is not equal to "
            f"len(dims) = {len(dims)}"
        )
    return layout.permute(wrap_dims(dims, layout.ndim))


def _inverse_permute(g: Tensor, dims: Sequence[int]) -> Tensor:
    order = [d % len(dims) for d in dims]
    result: Tensor = permute(g, [order.index(i) for i in range(len(order))])
    return result


def _permute_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3, 4), (2, 0, 1))
    yield sample(make(2, 3, 4), (-1, 1, 0))
    yield sample(make(), ())


permute = view(
    "permute(Tensor self, int[]... dims) -> Tensor", doc="Reorder the dimensions.",
    rule=_permute_rule, dtypes="all", derivatives={"self": _inverse_permute},
    samples=_permute_samples,
    errors=lambda make: iter([
        error(RuntimeError, "number of dimensions", make(2, 3), (0,)),
        error(RuntimeError, "appears multiple times", make(2, 3), (0, 0)),
    ]),
)


def _transpose_rule(layout: Layout, dim0: int, dim1: int) -> Layout:
    order = list(range(layout.ndim))
    a, b = wrap_dim(dim0, layout.ndim), wrap_dim(dim1, layout.ndim)
    if order:
        order[a], order[b] = order[b], order[a]
    return layout.permute(order)


transpose: OpFunction = view(
    "transpose(Tensor self, int dim0, int dim1) -> Tensor", doc="Swap two dimensions.",
    rule=_transpose_rule, dtypes="all", aliases=("swapaxes", "swapdims"),
    derivatives={"self": lambda g, dim0, dim1: transpose(g, dim0, dim1)},
    samples=lambda make: iter([sample(make(2, 3, 4), 0, 2), sample(make(2, 3), -1, -2)]),
    errors=lambda make: iter([error(IndexError, "Dimension out of range", make(2, 3), 0, 2)]),
)


def _t_rule(layout: Layout) -> Layout:
    if layout.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {layout.ndim}D")
    return layout.permute(range(layout.ndim - 1, -1, -1))


t = view(
    "t(Tensor self) -> Tensor", doc="Transpose a matrix; vectors stay as they are.",
    rule=_t_rule, dtypes="all", derivatives={"self": lambda g: g.t()},
    samples=lambda make: iter([sample(make(2, 3)), sample(make(3)), sample(make())]),
    errors=lambda make: iter([error(RuntimeError, "<= 2 dimensions", make(2, 3, 4))]),
)


# ---- shapes ------------------------------------------------------------------------------------
def _view_rule(layout: Layout, shape: Any) -> Layout:
    sizes = infer_shape(_sizes(shape), layout.numel)
    found = layout.view(sizes)
    if found is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return found


def _view_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), (12,))
    yield sample(make(3, 4), (2, -1))
    yield sample(make(1), ())
    yield sample(make(0, 3), (3, 0))


def _view_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "is invalid for input of size 12", make(3, 4), (5, 2))
    yield error(RuntimeError, "only one dimension can be inferred", make(3, 4), (-1, -1))


view_shape = view(
    "view(Tensor self, int[]... size) -> Tensor",
    doc="The same elements in another shape, without copying.",
    rule=_view_rule, dtypes="all", namespaces=("_internal",), method=True,
    derivatives={"self": lambda g, self_shape: reshape(g, self_shape)},
    samples=_view_samples,
    errors=lambda make: iter([
        *_view_errors(make),
        error(RuntimeError, "Use .reshape", make(3, 4).t(), (12,)),
    ]),
)


@composite(
    "view_dtype(Tensor self, dtype dtype) -> Tensor", dtypes="none", namespaces=("_internal",),
    method=False, out=False,
    samples=lambda make: iter([
        sample(make(2, 4, dtype=dtypes.float32), dtypes.int32),
        sample(make(2, 4, dtype=dtypes.float32), dtypes.int16),
        sample(make(2, 4, dtype=dtypes.float32)[:, 2:], dtypes.int64)]),
    errors=lambda make: iter([
        error(RuntimeError, "must be divisible by 2", make(2, 3), dtypes.float64),
        error(RuntimeError, "must be 1", make(4, 2).t(), dtypes.float64),
        error(RuntimeError, "cannot be 0", make(), dtypes.float64)]),
)
def view_dtype(self: Tensor, dtype: dtypes.dtype) -> Tensor:
    """The same bytes as elements of another dtype; the last dimension takes up the difference."""
    held, have, want = self.layout_(), self.itemsize, dtype.itemsize
    how = f"to view {self.dtype.name} as {dtype.name} (different element sizes)"
    if have == want:
        layout = held
    elif not held.ndim:
        raise RuntimeError(f"self.dim() cannot be 0 {how}")
    elif held.strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {how}, but got {held.strides[-1]}")
    elif have > want:
        by = have // want
        layout = Layout.of(
            (*held.shape[:-1], held.shape[-1] * by), (*(s * by for s in held.strides[:-1]), 1),
            held.offset * by)
    else:
        by = want // have
        for what, n in (("size(-1)", held.shape[-1]), ("storage_offset()", held.offset)):
            if n % by:
                raise RuntimeError(f"self.{what} must be divisible by {by} {how}, but got {n}")
        if any(s % by for s in held.strides[:-1]):
            raise RuntimeError(f"self.stride() must be divisible by {by} {how}")
        layout = Layout.of(
            (*held.shape[:-1], held.shape[-1] // by), (*(s // by for s in held.strides[:-1]), 1),
            held.offset // by)
    return from_storage(kind_of(self._kind.device, dtype), self.storage_(), layout)


def view_(self: Tensor, *shape: Any, dtype: Any = None, **named: Any) -> Tensor:
    """The same elements in another shape, without copying; or their bytes as another dtype."""
    if len(shape) == 1 and dtype is None and not named:  # the common call, without unpacking
        first = shape[0]
        return view_dtype(self, first) if first.__class__ is dtypes.dtype else (  # type: ignore[no-any-return]
            view_shape(self, first))
    if dtype is None and shape and shape[0].__class__ is dtypes.dtype:
        dtype, shape = shape[0], shape[1:]
    if dtype is None:
        return view_shape(self, *shape, **named)  # type: ignore[no-any-return]
    if shape or named:
        raise TypeError("view() takes either a shape or a dtype, not both")
    result: Tensor = view_dtype(self, dtype)
    return result


@composite(
    "reshape(Tensor self, int[]... shape) -> Tensor", dtypes="all", samples=_view_samples,
    errors=_view_errors, out=False, template="front",
)
def reshape(self: Tensor, shape: Any) -> Tensor:
    """The same elements in another shape: a view where strides allow it, else a copy."""
    held = self.layout_()
    if not held.is_contiguous and held.view(infer_shape(_sizes(shape), held.numel)) is None:
        self = self.contiguous()
    viewed: Tensor = view_shape(self, shape)
    return viewed


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """A view in the shape of another tensor."""
    result: Tensor = view_shape(self, other.shape)
    return result


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """The elements in the shape of another tensor."""
    result: Tensor = reshape(self, other.shape)
    return result


def _flatten_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3, 4))
    yield sample(make(2, 3, 4), 1)
    yield sample(make(2, 3, 4, 2), 1, -2)
    yield sample(make())


@composite(
    "flatten(Tensor self, int start_dim=0, int end_dim=-1) -> Tensor", dtypes="all",
    samples=_flatten_samples, errors=lambda make: iter([
        error(RuntimeError, "start_dim cannot come after end_dim", make(2, 3), 1, 0)]),
    out=False,
)
def flatten(self: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the dimensions from ``start_dim`` to ``end_dim`` into one."""
    start, end = wrap_dim(start_dim, self.ndim), wrap_dim(end_dim, self.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not self.ndim:
        return reshape(self, (1,))  # type: ignore[no-any-return]
    if start == end:
        return self
    shape = self.shape
    joined = product(shape[start : end + 1])
    result: Tensor = reshape(self, (*shape[:start], joined, *shape[end + 1 :]))
    return result


def _unflatten_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 12), 1, (3, 4))
    yield sample(make(2, 12), -1, (-1, 4))


@composite(
    "unflatten(Tensor self, int dim, int[] sizes) -> Tensor", dtypes="all",
    samples=_unflatten_samples, out=False, errors=lambda make: iter([
        error(IndexError, "Dimension out of range", make(2, 3), 2, (1, 3)),
        error(RuntimeError, "is invalid for input of size 3", make(2, 3), 1, (2, 2))]),
)
def unflatten(self: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split one dimension into several."""
    dim = wrap_dim(dim, self.ndim)
    shape = self.shape
    parts = infer_shape(_sizes(sizes), shape[dim])
    result: Tensor = view_shape(self, (*shape[:dim], *parts, *shape[dim + 1 :]))
    return result


# ---- dimensions of size 1 ----------------------------------------------------------------------
def _unsqueeze_rule(layout: Layout, dim: int) -> Layout:
    return layout.unsqueeze(wrap_dim(dim, layout.ndim + 1))


unsqueeze = view(
    "unsqueeze(Tensor self, int dim) -> Tensor", doc="Insert a dimension of size 1.",
    rule=_unsqueeze_rule, dtypes="all",
    derivatives={"self": lambda g, self_shape: _view_like(g, self_shape)},
    samples=lambda make: iter([sample(make(2, 3), 1), sample(make(2, 3), -1), sample(make(), 0)]),
    errors=lambda make: iter([error(IndexError, "Dimension out of range", make(2, 3), 3)]),
)


def _squeeze_rule(layout: Layout, dim: Any) -> Layout:
    if dim is None:
        return layout.squeeze(range(layout.ndim))
    dims = wrap_dims(dim, layout.ndim) if isinstance(dim, tuple) else (wrap_dim(dim, layout.ndim),)
    return layout.squeeze(dims if layout.ndim else ())


squeeze = view(
    "squeeze(Tensor self, int[]? dim=None) -> Tensor",
    doc="Drop dimensions of size 1: all, or those named.",
    rule=_squeeze_rule, dtypes="all",
    derivatives={"self": lambda g, self_shape: _view_like(g, self_shape)},
    samples=lambda make: iter([
        sample(make(2, 1, 3, 1)), sample(make(2, 1, 3), 1), sample(make(2, 1, 3), 0),
        sample(make(1, 2, 1), (0, 2)),
    ]),
    errors=lambda make: iter([error(IndexError, "Dimension out of range", make(2, 3), 2)]),
)


def _view_like(g: Tensor, shape: Sequence[int]) -> Tensor:
    result: Tensor = reshape(g, tuple(shape))
    return result


alias = view(
    "alias(Tensor self) -> Tensor", doc="The whole tensor as a view of itself.",
    rule=lambda layout: layout, dtypes="all", namespaces=("_internal",),
    derivatives={"self": lambda g: g}, samples=lambda make: iter([sample(make(2, 3))]),
    errors=unary_errors,
)


# ---- parts -------------------------------------------------------------------------------------
def _select_rule(layout: Layout, dim: int, index: int) -> Layout:
    if not layout.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    return layout.select(wrap_dim(dim, layout.ndim), int(index))


def _into_zeros(g: Tensor, shape: Sequence[int], place: Any) -> Tensor:
    """Zeros of a shape with the gradient written to a part of it."""
    from flambeau.ops.create import zeros

    watched = bool(modes.ACTIVE)
    result: Tensor = g.new_zeros(tuple(shape)) if watched else (
        zeros(tuple(shape), dtype=g.dtype, device=g.device))
    if g._requires_grad or watched:
        layout = place(result.layout_())
        return as_strided_scatter(
            result, g, layout.shape, layout.strides, layout.offset)
    layout = place(result.layout_())
    dispatch.raw_copy(from_storage(result._kind, result.storage_(), layout), g)
    return result


def _select_grad(g: Tensor, self_shape: Sequence[int], dim: int, index: int) -> Tensor:
    return _into_zeros(g, self_shape, lambda layout: _select_rule(layout, dim, index))


select = view(
    "select(Tensor self, int dim, int index) -> Tensor",
    doc="One index of a dimension, which is dropped.",
    rule=_select_rule, dtypes="all", derivatives={"self": _select_grad},
    samples=lambda make: iter([sample(make(3, 4), 0, 1), sample(make(3, 4), -1, -2)]),
    errors=lambda make: iter([
        error(IndexError, "out of bounds|out of range", make(3, 4), 0, 3),
        error(IndexError, "0-dim", make(), 0, 0),
    ]),
)


def _slice_rule(layout: Layout, dim: int, start: Any, stop: Any, step: int) -> Layout:
    return layout.slice(wrap_dim(dim, layout.ndim), start, stop, step)


def _slice_grad(
    g: Tensor, self_shape: Sequence[int], dim: int, start: Any, stop: Any, step: int
) -> Tensor:
    return _into_zeros(
        g, self_shape, lambda layout: _slice_rule(layout, dim, start, stop, step))


slice_dim = view(
    "slice_dim(Tensor self, int dim, int? start=None, int? stop=None, int step=1) -> Tensor",
    doc="``start:stop:step`` of one dimension.",
    rule=_slice_rule, dtypes="all", namespaces=("_internal",), derivatives={"self": _slice_grad},
    samples=lambda make: iter([
        sample(make(5, 4), 0, 1, 4), sample(make(5, 4), 1, None, None, 2),
        sample(make(5, 4), 0, -2, None), sample(make(5, 4), 0, 4, 2),
    ]),
    errors=lambda make: iter([
        error(IndexError, "Dimension out of range", make(3), 1),
        error(ValueError, "greater than zero", make(3), 0, None, None, -1)]),
)


slice_dim.op.node_class.__name__ = "SliceBackward0"  # type: ignore[attr-defined]


@composite(
    "narrow(Tensor self, int dim, int start, int length) -> Tensor", dtypes="all", out=False,
    template="front",
    samples=lambda make: iter([sample(make(5, 4), 0, 1, 3), sample(make(5, 4), 1, -2, 2)]),
    errors=lambda make: iter([
        error(RuntimeError, "exceeds dimension size", make(5, 4), 0, 3, 3),
        error(RuntimeError, "non-negative", make(5, 4), 0, 3, -1),
    ]),
)
def narrow(self: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """``length`` indices of a dimension from ``start`` on."""
    if not self.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor) and start.dtype is dtypes.bool:
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    dim, start = wrap_dim(dim, self.ndim), int(start)
    size = self.shape[dim]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    start += size if start < 0 else 0
    if start + length > size:
        raise RuntimeError(
            f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    result: Tensor = slice_dim(self, dim, start, start + length)
    return result


def _expand_rule(layout: Layout, size: Any) -> Layout:
    return layout.expand(_sizes(size))


expand = view(
    "expand(Tensor self, int[]... size) -> Tensor",
    doc="Repeat dimensions of size 1 without copying; -1 keeps a size.",
    rule=_expand_rule, dtypes="all", namespaces=("_internal",), method=True,
    derivatives={"self": lambda g, self_shape: sum_to_size(g, tuple(self_shape))},
    samples=lambda make: iter([
        sample(make(3, 1), (3, 4)), sample(make(3, 1), (2, -1, 4)), sample(make(), (2, 3))]),
    errors=lambda make: iter([
        error(RuntimeError, "must match the existing size", make(3, 2), (3, 4))]),
)


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """Expanded to the shape of another tensor."""
    result: Tensor = expand(self, other.shape)
    return result


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expanded to a shape."""
    result: Tensor = expand(input, size)
    return result


def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """Sum over the dimensions that broadcasting from ``size`` has added or repeated.

    Raises:
        RuntimeError: if ``size`` does not broadcast to the tensor's shape.
    """
    want = _sizes(size[0] if len(size) == 1 and not isinstance(size[0], int) else size)
    shape = self.shape
    if tuple(shape) == want and (want or self.dtype.category >= 2):  # sums of integers are int64
        return self
    lead = len(shape) - len(want)
    if lead < 0 or any(n != m and n != 1 for n, m in zip(want, shape[lead:], strict=True)):
        raise RuntimeError(
            f"size {list(want)} is not expandable to size {list(shape)}.")
    from flambeau.ops.reduce import sum

    repeated = [lead + i for i, n in enumerate(want) if n == 1 and shape[lead + i] != 1]
    result: Tensor = sum(self, (*range(lead), *repeated), keepdim=True)
    return reshape(result, want) if lead else result


unfold_dim = view(
    "unfold_dim(Tensor self, int dimension, int size, int step) -> Tensor",
    doc="Windows of a dimension as a new last dimension.",
    rule=lambda layout, dimension, size, step: layout.unfold(
        wrap_dim(dimension, layout.ndim), size, step),
    dtypes="all", namespaces=("_internal",), aliases=("unfold",),
    derivatives={"self": lambda g, self_shape, dimension, size, step: _windows_back(
        g, self_shape, dimension, size, step)},
    samples=lambda make: iter([sample(make(7, 2), 0, 3, 2), sample(make(5), 0, 2, 1)]),
    errors=lambda make: iter([error(RuntimeError, "maximum size", make(3), 0, 4, 1)]),
)
unfold_dim.op.node_class.__name__ = "UnfoldBackward0"  # type: ignore[attr-defined]


def _windows_back(
    g: Tensor, shape: Sequence[int], dimension: int, size: int, step: int
) -> Tensor:
    whole = Layout.contiguous(shape)
    part = whole.unfold(wrap_dim(dimension, len(shape)), size, step)
    result: Tensor = as_strided_backward(
        g, whole.shape, whole.strides, part.shape, part.strides, part.offset)
    return result


def _diagonal_rule(layout: Layout, offset: int, dim1: int, dim2: int) -> Layout:
    a, b = wrap_dim(dim1, layout.ndim), wrap_dim(dim2, layout.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return layout.diagonal(offset, a, b)


diagonal = view(
    "diagonal(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor",
    doc="The diagonal of two dimensions as a new last dimension.",
    rule=_diagonal_rule, dtypes="all",
    derivatives={"self": lambda g, self_shape, offset, dim1, dim2: _into_zeros(
        g, self_shape, lambda layout: _diagonal_rule(layout, offset, dim1, dim2))},
    samples=lambda make: iter([
        sample(make(3, 4)), sample(make(3, 4), 1), sample(make(2, 3, 4), -1, 0, 2)]),
    errors=lambda make: iter([error(RuntimeError, "cannot be identical", make(3, 4), 0, 1, 1)]),
)


# ---- strides by hand ---------------------------------------------------------------------------
def _as_strided_rule(layout: Layout, size: Any, stride: Any, storage_offset: Any) -> Layout:
    if len(size) != len(stride):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(stride)} and {len(size)}")
    if any(s < 0 for s in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported, got {list(stride)}")
    offset = layout.offset if storage_offset is None else int(storage_offset)
    return Layout.of(_sizes(size), _sizes(stride), offset)


def _as_strided_grad(
    g: Tensor, self: Tensor, size: Any, stride: Any, storage_offset: Any
) -> Tensor:
    held = self.layout_()
    offset = held.offset if storage_offset is None else storage_offset
    result: Tensor = as_strided_backward(
        g, held.shape, held.strides, tuple(size), tuple(stride), offset - held.offset)
    return result


as_strided_view = view(
    "as_strided_view(Tensor self, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
    doc="A view of the storage with strides given by hand.",
    rule=_as_strided_rule, is_absolute=True, dtypes="all", namespaces=("_internal",),
    derivatives={"self": _as_strided_grad},
    samples=lambda make: iter([
        sample(make(3, 4), (2, 2), (4, 1), 1), sample(make(6), (2, 3), (3, 1)),
        sample(make(4), (2, 3), (1, 1), 0)]),
    errors=lambda make: iter([
        error(RuntimeError, "mismatch in length", make(3), (1, 2), (1,)),
        error(RuntimeError, "Negative strides", make(3), (2,), (-1,))]),
)


as_strided_view.op.node_class.__name__ = "AsStridedBackward0"  # type: ignore[attr-defined]


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view of the storage with strides given by hand, in elements.

    Raises:
        RuntimeError: if it would reach outside the storage.
    """
    layout = _as_strided_rule(input.layout_(), size, stride, storage_offset)
    storage = every_sample(input).storage_()
    if layout.numel and layout.span() * input.itemsize > storage.nbytes:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset "
            f"{layout.offset}, and itemsize {input.itemsize} requiring a storage size of "
            f"{layout.span() * input.itemsize} are out of bounds for storage of size "
            f"{storage.nbytes}"
        )
    result: Tensor = as_strided_view(input, tuple(size), tuple(stride), storage_offset)
    return result


def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """A copy of ``input`` in which the elements of a strided view are those of ``src``."""
    result: Tensor = input.clone()
    as_strided(result, size, stride, storage_offset).copy_(src)
    return result


def as_strided_backward(
    g: Tensor, base_shape: Sequence[int], base_strides: Sequence[int], shape: Sequence[int],
    strides: Sequence[int], offset: int,
) -> Tensor:
    """The gradient of a base of which a strided view has gradient ``g``.

    Where the view names one element several times their gradients are summed; what it names
    outside the base is no part of it.

    Args:
        offset: of the view from the first element of the base; may be negative.
    """
    from flambeau.ops.create import arange, zeros

    start = max(-offset, 0)  # where the base begins in the memory that both span
    base = Layout.of(base_shape, base_strides, start)
    part = Layout.of(shape, strides, offset + start)
    count = max(base.span(), part.span())
    flat: Tensor = zeros((count,), dtype=g.dtype, device=g.device)
    if not part.overlaps_itself():
        flat = as_strided_scatter(flat, g, shape, strides, part.offset)
    else:
        places = as_strided(arange(count, device=g.device), shape, strides, part.offset)
        flat = flat.scatter_add(0, places.reshape(-1), g.reshape(-1))
    whole: Tensor = as_strided(flat, base_shape, base_strides, start)
    return whole if base.is_contiguous and count == base.numel else whole.clone()


def contiguous_strided(g: Tensor, strides: Sequence[int]) -> Tensor:
    """A copy in the memory order of the strides given, row-major if they overlap or have gaps."""
    layout = Layout.of(g.shape, strides)
    if not layout.is_dense():
        layout = Layout.contiguous(g.shape)
    order = layout.order()[::-1]
    permuted: Tensor = permute(g, order).contiguous(memory_format=contiguous_format)
    result: Tensor = _inverse_permute(permuted, order)
    return result


for _method in (view_as, reshape_as, expand_as, broadcast_to, sum_to_size, as_strided,
                as_strided_scatter):
    setattr(Tensor, _method.__name__, _method)
setattr(Tensor, "view", view_)  # noqa: B010
