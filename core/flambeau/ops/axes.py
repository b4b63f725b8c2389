"""Dimensions moved, named and joined."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.inplace import check_writable
from flambeau.autograd.node import attach, record
from flambeau.layout import wrap_dim
from flambeau.ops import shape
from flambeau.ops.complex import conj
from flambeau.ops.shape import permute, reshape, transpose
from flambeau.registry import Op, OpFunction, apply_view_rule, composite
from flambeau.samples import Make, Sample, error, sample
from flambeau.tensor import Tensor, alias_of


# ---- order -------------------------------------------------------------------------------------
def _move_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(2, 3, 4), 0, 2)
    yield sample(make(2, 3, 4), (0, 1), (-1, 0))
    yield sample(make(2, 3, 4), -1, 0)
    yield sample(make(2), 0, 0)


@composite(
    "movedim(Tensor self, int[1] source, int[1] destination) -> Tensor", dtypes="all", out=False,
    aliases=("moveaxis",), samples=_move_samples,
    errors=lambda make: iter([
        error(RuntimeError, "repeated dim in `source`", make(2, 3), (0, 0), (0, 1)),
        error(RuntimeError, "repeated dim in `destination`", make(2, 3), (0, 1), (1, 1)),
        error(RuntimeError, "same number of elements", make(2, 3), (0, 1), (0,)),
        error(IndexError, "out of range", make(2, 3), 2, 0)]),
)
def movedim(self: Tensor, source: Any, destination: Any) -> Tensor:
    """A view with some dimensions moved to other places, the rest in their order."""
    moved, places = (
        (d,) if isinstance(d, int) else tuple(d) for d in (source, destination))
    if len(moved) != len(places):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(moved)} dims) should contain the same number of elements as destination "
            f"({list(places)} dims)")
    for word, dims in (("source", moved), ("destination", places)):
        wrapped = [wrap_dim(d, self.ndim) for d in dims]
        if len(set(wrapped)) < len(wrapped):
            raise RuntimeError(f"movedim: repeated dim in `{word}` ({list(dims)})")
    if not self.ndim:
        return self
    to = {wrap_dim(p, self.ndim): wrap_dim(m, self.ndim)
          for p, m in zip(places, moved, strict=True)}
    rest = iter([d for d in range(self.ndim) if d not in to.values()])
    result: Tensor = permute(self, [to[i] if i in to else next(rest) for i in range(self.ndim)])
    return result


def _transposed(name: str, t: Tensor, instead: str) -> Tensor:
    """The last two dimensions exchanged; of a number nothing, with a warning."""
    if not t.ndim:
        warnings.warn(
            f"Tensor.{name} is deprecated on 0-D tensors. {instead}", UserWarning, stacklevel=3)
        return t
    if t.ndim == 1:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    result: Tensor = transpose(t, -2, -1)
    return result


_IDENTITY = "This function is the identity in these cases."


def reversed_dims(t: Tensor) -> Tensor:
    """``Tensor.T``: all dimensions in reverse order."""
    if t.ndim not in (1, 2):
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*range(x.ndim - 1, -1, -1))` to reverse "
            "the dimensions of a tensor." if t.ndim else
            f"Tensor.T is deprecated on 0-D tensors. {_IDENTITY}", UserWarning, stacklevel=2)
    result: Tensor = permute(t, tuple(range(t.ndim - 1, -1, -1)))
    return result


def matrix_transpose(t: Tensor) -> Tensor:
    """``Tensor.mT``: the last two dimensions exchanged."""
    return _transposed("mT", t, _IDENTITY)


def hermitian(t: Tensor) -> Tensor:
    """``Tensor.H``: the conjugate transpose of a matrix."""
    if t.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {t.ndim}-D tensor."
            + (" For batches of matrices, consider using tensor.mH" if t.ndim > 2 else ""))
    return _conjugate(_transposed("H", t, "Consider using x.conj()."))


def matrix_hermitian(t: Tensor) -> Tensor:
    """``Tensor.mH``: the conjugate transpose of the last two dimensions."""
    return _conjugate(_transposed("mH", t, "Consider using x.conj()."))


def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of the last two dimensions."""
    return _conjugate(_transposed("adjoint()", input, "Consider using x.conj()."))


def _conjugate(t: Tensor) -> Tensor:
    return conj(t) if t.dtype.is_complex else t


for _name, _get in {
    "T": reversed_dims, "mT": matrix_transpose, "H": hermitian, "mH": matrix_hermitian,
}.items():
    setattr(Tensor, _name, property(_get))


# ---- flat --------------------------------------------------------------------------------------
@composite(
    "ravel(Tensor self) -> Tensor", dtypes="all", out=False,
    samples=lambda make: iter([sample(make(2, 3)), sample(make(3, 2).t()), sample(make())]),
    errors=lambda make: iter([error(TypeError, "must be Tensor", 1.0)]),
)
def ravel(self: Tensor) -> Tensor:
    """The elements as a row-major vector: a view where strides allow it, else a copy."""
    result: Tensor = reshape(self, (-1,)).contiguous()
    return result


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Positions in a flattened tensor as one tensor of indices per dimension of its shape.

    Raises:
        TypeError: for positions that are no integers.
        ValueError: for a negative size.
    """
    from flambeau.layout import contiguous_strides
    from flambeau.ops.rounding import floor_divide

    if indices.dtype.category != 1:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype!r}")
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    return tuple(
        floor_divide(indices, stride) % max(n, 1)
        for stride, n in zip(contiguous_strides(sizes), sizes, strict=True))


# ---- in place ----------------------------------------------------------------------------------
def _in_place(function: OpFunction, name: str) -> OpFunction:
    """A view op that changes the tensor's own shape and strides."""
    op: Op = function.op  # type: ignore[attr-defined]

    def change(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        arguments = op.schema.bind((self, *args), kwargs)[1:]
        layout = apply_view_rule(op, self.layout_(), arguments)
        if MODE.enabled and self.requires_grad:
            check_writable(op, self)
            before = alias_of(self)
            before._fn, before._requires_grad = self._fn, True
            self._layout, self._native = layout, None
            attach(op, record(op, (before, *arguments), (self,)), (self,))
        else:
            self._layout, self._native = layout, None
        self.storage_().version += 1
        return self

    change.__name__ = change.__qualname__ = name
    change.__doc__ = f"{op.doc.rstrip('.')}, in place."
    return change


for _name, _view in {
    "t_": shape.t, "transpose_": shape.transpose, "swapaxes_": shape.transpose,
    "swapdims_": shape.transpose, "squeeze_": shape.squeeze, "unsqueeze_": shape.unsqueeze,
}.items():
    setattr(Tensor, _name, _in_place(_view, _name))
as_strided_ = _in_place(shape.as_strided_view, "as_strided_")


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number to the main diagonal, in place.

    Args:
        wrap: in a matrix with more rows than columns, start again one row below its end.
    """
    if self.ndim < 2:
        raise RuntimeError("fill_diagonal_: dimensions must larger than 1")
    if self.ndim > 2 and len(set(self.shape)) > 1:
        raise RuntimeError("fill_diagonal_: all dimensions of input must be of equal length")
    step = sum(self.stride())
    rows, columns = self.shape[0], min(self.shape)
    starts = range(0, rows, columns + 1) if wrap and self.ndim == 2 and columns else (0,)
    for start in starts:
        count = min(columns, rows - start)
        offset = self.storage_offset() + start * self.stride(0)
        shape.as_strided(self, (count,), (step,), offset).fill_(fill_value)
    return self


def resolved(input: Tensor) -> Tensor:
    """The tensor itself: conjugates and negatives are always computed, never pending."""
    return input


for _method in (adjoint, as_strided_, fill_diagonal_):
    setattr(Tensor, _method.__name__, _method)
for _name in ("resolve_conj", "resolve_neg"):
    setattr(Tensor, _name, resolved)
