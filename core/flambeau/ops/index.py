"""Gather and scatter along one dimension, and the search for what is not zero.

All other indexing is made of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import wrap_dim
from flambeau.promotion import cast
from flambeau.registry import Plan, Result, composite, primitive
from flambeau.samples import ErrorSample, Make, Sample, error, sample, unary_errors
from flambeau.tensor import Tensor, from_storage


def _check_index(name: str, self: Tensor, dim: int, index: Tensor) -> tuple[int, Tensor]:
    """The dimension counted from the front and the index as int64, after checking its rank.

    Raises:
        RuntimeError: for an index that is no int64 or int32 tensor, or of another rank.
    """
    if index.dtype not in (dtypes.int64, dtypes.int32) and index.numel():
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index, got {index.dtype.name}. "
            "Convert it with .long().")
    dim = wrap_dim(dim, self.ndim)
    if max(index.ndim, 1) != max(self.ndim, 1) and index.numel():
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as input tensor: {name}() got "
            f"index of shape {list(index.shape)} for input of shape {list(self.shape)}")
    return dim, cast(index, dtypes.int64)


def _check_extent(name: str, index: Tensor, other: Tensor, but: int | None, what: str) -> None:
    for d in range(index.ndim):
        if d != but and other.ndim and index.shape[d] > other.shape[d]:
            raise RuntimeError(
                f"{name}(): Size does not match at dimension {d} expected index "
                f"{list(index.shape)} to be no larger than {what} {list(other.shape)}"
                + ("" if but is None else f" apart from dimension {but}"))


def _gather_rule(self: Tensor, dim: int, index: Tensor, sparse_grad: bool = False) -> Plan:
    dim, index = _check_index("gather", self, dim, index)
    if index.numel():
        _check_extent("gather", index, self, dim, "self")
    return Plan((self, index), (Result(index.shape, self.dtype),), {"dim": dim})


def _gather_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 0, make.index(3, 2, 4))
    yield sample(make(3, 4), 1, make.index(4, 3, 5))
    yield sample(make(3, 4), -1, make.index(4, 2, 2))
    yield sample(make(4, 3).t(), 0, make.index(3, 3, 4))
    yield sample(make(3), 0, make.index(3, 0))
    yield sample(make(), 0, make.index(1))


def _index_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "int64", make(3, 4), 0, make(3, 4))
    yield error(IndexError, "Dimension out of range", make(3, 4), 2, make.index(2, 3, 4))
    yield error(RuntimeError, "same number of dimensions", make(3, 4), 0, make.index(2, 3))


gather = primitive(
    "gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor",
    doc="``out[i][j] = self[index[i][j]][j]`` for dimension 0, and so on for the others.",
    rule=_gather_rule, dtypes="all",
    derivatives={"self": lambda g, self_shape, dim, index: zeros_of(g, self_shape).scatter_add(
        dim, index, g)},
    samples=_gather_samples,
    errors=lambda make: iter([
        *_index_errors(make),
        error(RuntimeError, "apart from dimension", make(3, 4), 0, make.index(2, 3, 5)),
        error((IndexError, RuntimeError), "out of bounds", make(3, 4), 0,  # type: ignore[arg-type]
              make.index(2, 2, 4) + 3),
    ]),
)


def zeros_of(g: Tensor, shape: Any) -> Tensor:
    """Zeros of the dtype and device of a gradient."""
    result: Tensor = g.new_zeros(tuple(shape))
    return result


def _scatter_rule(name: str) -> Any:
    def rule(self: Tensor, dim: int, index: Tensor, src: Any) -> Plan:
        dim, index = _check_index(name, self, dim, index)
        if index.numel():
            _check_extent(name, index, self, dim, "self")
        if isinstance(src, Tensor):
            if src.dtype is not self.dtype:
                raise RuntimeError(
                    f"{name}(): Expected self.dtype to be equal to src.dtype, got "
                    f"{self.dtype.name} and {src.dtype.name}")
            if index.numel():
                _check_extent(name, index, src, None, "src")
                for d in range(index.ndim):
                    if src.ndim and src.shape[d] != index.shape[d]:
                        src = _narrowed(src, d, index.shape[d])
        else:
            src = cast(src, self.dtype)
        return Plan((self, index, src), (Result(self.shape, self.dtype),), {"dim": dim})

    return rule


def _narrowed(src: Tensor, dim: int, size: int) -> Tensor:
    return from_storage(src._kind, src.storage_(), src.layout_().slice(dim, 0, size))


def each_once(make: Make, n: int, columns: int | None = None) -> Tensor:
    """The integers below ``n`` in some order, in each column another: no place is named twice."""
    from flambeau.ops.create import arange

    where = make().device
    order: Tensor = (arange(n, device=where) * (n - 1) + n // 2) % n
    if columns is not None:
        order = (order.unsqueeze(1) + arange(columns, device=where)) % n
    return order


def _scatter_samples(make: Make) -> Iterator[Sample]:
    order = each_once(make, 3, 4)  # every target once: the result is defined
    yield sample(make(3, 4), 0, order, make(3, 4))
    yield sample(make(5, 4), 0, order, make(3, 5))
    yield sample(make(3, 4), 1, each_once(make, 4, 3).t(), 1.5)
    yield sample(make(3, 4), 0, make.index(3, 0, 4), make(3, 4))


def _scatter_add_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), 0, make.index(3, 5, 4), make(5, 4))
    yield sample(make(3, 4), 1, make.index(4, 2, 6), make(3, 6))
    yield sample(make(4, 3).t(), 0, make.index(3, 3, 4), make(3, 4))
    yield sample(make(3), 0, make.index(3, 0), make(2))


scatter_elements = primitive(
    "scatter_elements(Tensor self, int dim, Tensor index, Operand src) -> Tensor",
    doc="A copy with ``out[index[i][j]][j] = src[i][j]`` for dimension 0, and so on.",
    rule=_scatter_rule("scatter"), inplace=True, dtypes="all", namespaces=("_internal",),
    derivatives={
        "self": lambda g, dim, index: g.scatter(dim, index, 0),
        "src": lambda g, src_shape, dim, index: _gathered(g, dim, index, src_shape),
    },
    samples=_scatter_samples,
    errors=lambda make: iter([
        error(RuntimeError, "int64", make(3, 4), 0, make(3, 4), make(3, 4))]),
)


def _gathered(g: Tensor, dim: int, index: Tensor, shape: Any) -> Tensor:
    """The gradient of a source that may be larger than the index."""
    got: Tensor = gather(g, dim, index)
    if not shape:
        total: Tensor = got.sum()
        return total
    return widened(got, shape)


def widened(g: Tensor, shape: Any) -> Tensor:
    """The gradient of the corner of a source that an index used, with zeros for the rest."""
    if g.shape == tuple(shape):
        return g
    whole = part = zeros_of(g, shape)
    for d, n in enumerate(g.shape):
        part = part.narrow(d, 0, n)
    part.copy_(g)
    return whole


scatter_add = primitive(
    "scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor",
    doc="A copy with ``out[index[i][j]][j] += src[i][j]`` for dimension 0, and so on.",
    rule=_scatter_rule("scatter_add"), inplace=True, dtypes="numeric",
    derivatives={
        "self": lambda g: g,
        "src": lambda g, src_shape, dim, index: _gathered(g, dim, index, src_shape),
    },
    samples=_scatter_add_samples,
    errors=lambda make: iter([
        error(RuntimeError, "int64", make(3, 4), 0, make(3, 4), make(3, 4)),
        error(RuntimeError, "src.dtype", make(3, 4), 0, make.index(2, 3, 4), make.index(2, 3, 4)),
    ]),
)


# ---- search ------------------------------------------------------------------------------------
def _nonzero_samples(make: Make) -> Iterator[Sample]:
    yield sample(make.index(2, 3, 4))
    yield sample(make.mask(2, 3, 2), as_tuple=True)
    yield sample(make.index(2, 4, 3).t())
    yield sample(make(0, 3))
    yield sample(make.mask())


@composite(
    "nonzero(Tensor self, *, bool as_tuple=False) -> Tensor", dtypes="all",
    samples=_nonzero_samples, errors=unary_errors,
)
def nonzero(self: Tensor, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not zero: a row each, or with ``as_tuple`` a tensor
    per dimension.  The shape depends on the data, so an asynchronous device is waited for.
    """
    from flambeau.ops.compare import ne, where
    from flambeau.ops.create import arange, zeros
    from flambeau.ops.scan import cumsum

    if self.requires_grad:
        return nonzero(self.detach(), as_tuple=as_tuple)
    if as_tuple:
        rows: Tensor = nonzero(self if self.ndim else self.reshape(1))
        return rows.unbind(1)
    hits = ne(self, 0).reshape(-1)
    count = int(hits.sum())
    # Each hit writes its position to the slot that its number says, the others to a last one.
    slots = where(hits, cumsum(hits, 0) - 1, count)
    target: Tensor = zeros(count + 1, dtype=dtypes.int64, device=self.device)
    positions = arange(hits.numel(), dtype=dtypes.int64, device=self.device)
    written = scatter_elements(target, 0, slots, positions)
    return _unravelled(written.narrow(0, 0, count), self.shape)


def _unravelled(places: Tensor, shape: Any) -> Tensor:
    """Positions in a row-major tensor as rows of indices, (count, ndim)."""
    from flambeau.layout import contiguous_strides
    from flambeau.ops.join import stack
    from flambeau.ops.rounding import floor_divide

    if not shape:
        return zeros_of(places, (places.shape[0], 0))
    columns = [
        floor_divide(places, stride) % max(n, 1)
        for n, stride in zip(shape, contiguous_strides(shape), strict=True)
    ]
    result: Tensor = stack(columns, 1)
    return result


@composite(
    "argwhere(Tensor self) -> Tensor", dtypes="all", errors=unary_errors, out=False,
    samples=lambda make: iter([sample(make.index(2, 3, 4)), sample(make.mask())]),
)
def argwhere(self: Tensor) -> Tensor:
    """The indices of the elements that are not zero, a row each."""
    result: Tensor = nonzero(self)
    return result


@composite(
    "nonzero_static(Tensor self, *, int size, int fill_value=-1) -> Tensor", dtypes="all",
    samples=lambda make: iter([
        sample(make.index(2, 3, 4), size=20), sample(make.mask(5), size=2, fill_value=0)]),
    errors=lambda make: iter([error(RuntimeError, "non-negative", make(3), size=-1)]),
)
def nonzero_static(self: Tensor, size: int, fill_value: int = -1) -> Tensor:
    """The first ``size`` rows of ``nonzero``, made up to that many with ``fill_value``."""
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be non-negative, got {size}")
    found = nonzero(self)[:size]
    result: Tensor = found.new_full((size, self.ndim), fill_value)
    result[: found.shape[0]] = found
    return result
