"""Elements chosen by a mask: fill, select, scatter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.layout import broadcast_shapes
from flambeau.modes import every_sample
from flambeau.ops.compare import where
from flambeau.ops.index import gather, nonzero, scatter_add, zeros_of
from flambeau.ops.scan import cumsum
from flambeau.ops.shape import expand, reshape
from flambeau.ops.writing import writes_through
from flambeau.promotion import number
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor


def _check_bool(name: str, mask: Tensor) -> None:
    if mask.dtype is not dtypes.bool:
        raise RuntimeError(
            f"{name} only supports boolean masks, but got mask with dtype {mask.dtype.name}. "
            "Convert it with .bool().")


# ---- fill --------------------------------------------------------------------------------------
def _fill_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make.mask(3, 4), 1.5), name="same")
    yield Sample((make(3, 4), make.mask(4), 2), name="broadcast")
    yield Sample((make(4), make.mask(3, 1), 0), name="broadcast_self")
    yield Sample((make(4, 3).t(), make.mask(3, 4), -1), name="transposed")
    yield Sample((make(3, 4), make.mask(3, 4), make()), name="tensor")
    yield Sample((make(), make.mask(), 1), name="0d")
    yield Sample((make(0, 3), make.mask(0, 3), 1), name="empty")


def _fill_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "boolean masks", make(3), make.index(2, 3), 1.0)
    yield error(RuntimeError, "without overflow", make(3, dtype=dtypes.float32), make.mask(3), 1j)
    yield error(RuntimeError, "0-dimensional value", make(3), make.mask(3), make(2))
    yield error(RuntimeError, "must match", make(3), make.mask(2), 1.0)


def _fill_formula(self: Any, mask: Any, value: Any) -> str | None:
    is_number = not getattr(value, "shape", ())
    fits = _is_complex(self) or not _is_complex(value)
    return "mask ? value : self" if mask.dtype is dtypes.bool and is_number and fits else None


def _is_complex(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return isinstance(value, complex) if dtype is None else dtype.is_complex


@writes_through
@composite(
    "masked_fill(Tensor self, Tensor mask, Operand value) -> Tensor",
    formula=_fill_formula,
    dtypes="all", inplace=True,
    derivatives={
        "self": lambda g, mask: masked_fill(g, mask, 0),
        "value": lambda g, mask: where(mask, g, 0).sum(),
    },
    samples=_fill_samples, errors=_fill_errors,
)
def masked_fill(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A copy with a number where the mask holds."""
    _check_bool("masked_fill", mask)
    if _is_complex(value) and not self.dtype.is_complex:
        raise RuntimeError(
            f"masked_fill: value cannot be converted to type {self.dtype.name} without overflow")
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s).")
        value = value.to(self.dtype)
    else:
        value = number(value, self.dtype)
    result: Tensor = where(mask, value, self)
    return result


# ---- select ------------------------------------------------------------------------------------
def _select_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make.mask(3, 4)), name="same")
    yield Sample((make(3, 4), make.mask(4)), name="broadcast")
    yield Sample((make(4), make.mask(3, 1)), name="broadcast_self")
    yield Sample((make(4, 3).t(), make.mask(3, 4)), name="transposed")
    yield Sample((make(), make.mask()), name="0d")
    yield Sample((make(0, 3), make.mask(0, 3)), name="empty")


def _select_back(g: Tensor, self_shape: Any, mask: Tensor) -> Tensor:
    shape = broadcast_shapes(self_shape, mask.shape)
    result: Tensor = masked_scatter(zeros_of(g, shape), mask, g)
    return result


@composite(
    "masked_select(Tensor self, Tensor mask) -> Tensor", dtypes="all",
    derivatives={"self": _select_back}, samples=_select_samples,
    errors=lambda make: iter([
        error(RuntimeError, "boolean masks", make(3), make.index(2, 3)),
        error(RuntimeError, "must match", make(3), make.mask(2))]),
)
def masked_select(self: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, as a vector.

    Its length depends on the data, so an asynchronous device is waited for.
    """
    _check_bool("masked_select", mask)
    shape = broadcast_shapes(self.shape, mask.shape)
    places = nonzero(reshape(expand(mask, shape), (-1,))).reshape(-1)
    result: Tensor = gather(reshape(expand(self, shape), (-1,)), 0, places)
    return result


# ---- scatter -----------------------------------------------------------------------------------
def _scatter_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make(3, 4), make.mask(3, 4), make(12)), name="same")
    yield Sample((make(3, 4), make.mask(4), make(3, 5)), name="broadcast")
    yield Sample((make(4, 3).t(), make.mask(3, 4), make(3, 4)), name="transposed")
    yield Sample((make(0, 3), make.mask(0, 3), make(0)), name="empty")


def _scatter_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "boolean masks", make(3), make.index(2, 3), make(3))
    yield error(RuntimeError, "same dtypes", make(3), make.mask(3), make.index(2, 3))
    yield error(RuntimeError, "Number of elements of source", make(3), make(3) > -3, make(2))


def _scatter_source(g: Tensor, source_shape: Any, mask: Tensor) -> Tensor:
    """The gradients of the elements used, zeros for the rest of the source."""
    from flambeau.layout import product

    count = product(source_shape)
    zeros = zeros_of(g, (count,))
    if not count or not g.numel():
        return reshape(zeros, tuple(source_shape))  # type: ignore[no-any-return]
    flat = reshape(expand(mask, g.shape), (-1,))
    places = where(flat, cumsum(flat, 0) - 1, 0)
    used = where(flat, reshape(g, (-1,)), 0)
    result: Tensor = reshape(scatter_add(zeros, 0, places, used), tuple(source_shape))
    return result


@writes_through
@composite(
    "masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor", dtypes="all",
    inplace=True, samples=_scatter_samples, errors=_scatter_errors, out=False,
    derivatives={
        "self": lambda g, mask: masked_fill(g, mask, 0),
        "source": _scatter_source,
    },
)
def masked_scatter(self: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the elements of ``source``, in order, where the mask holds."""
    _check_bool("masked_scatter", mask)
    if source.dtype is not self.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got "
            f"{self.dtype.name} and {source.dtype.name}")
    shape = broadcast_shapes(self.shape, mask.shape)
    flat = reshape(expand(mask, shape), (-1,))
    order = cumsum(flat, 0) - 1
    held = int(every_sample(order[-1]).amax()) + 1 if flat.numel() else 0
    if held > source.numel():
        raise RuntimeError(
            f"masked_scatter: Number of elements of source ({source.numel()}) < number of ones "
            f"in mask ({held})")
    if not source.numel():
        return expand(self, shape).clone()  # type: ignore[no-any-return]
    chosen = gather(reshape(source, (-1,)), 0, where(flat, order, 0))
    result: Tensor = where(expand(mask, shape), reshape(chosen, shape), self)
    return result
