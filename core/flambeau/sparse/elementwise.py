"""Elementwise arithmetic of sparse tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import flambeau as fb
from flambeau.ops.facts import sparse_coo
from flambeau.ops.memory import to_copy
from flambeau.registry import OPS
from flambeau.sparse.convert import coalesced, to_sparse
from flambeau.sparse.pattern import Compressed, Coordinates, Pattern
from flambeau.sparse.tensor import (
    SparseTensor,
    from_values,
    implements,
    take,
    to_dense,
    values_of,
)
from flambeau.tensor import Tensor

KEEPS_ZERO: Final = (
    "abs", "angle", "asin", "asinh", "atan", "atanh", "ceil", "conj_physical", "deg2rad", "erf",
    "erfinv", "expm1", "floor", "frac", "isinf", "isnan", "isneginf", "isposinf", "log1p",
    "nan_to_num", "positive", "rad2deg", "relu", "round", "sgn", "sign", "signbit", "sin", "sinh",
    "sqrt", "square", "tan", "tanh", "trunc", "threshold_backward",
)
"""Ops that give 0 for 0: they need only the values, each place once."""


def at_places(t: Any) -> tuple[Pattern, Tensor]:
    """The pattern of a sparse tensor with every place once, and the values there."""
    if isinstance(t._pattern, Compressed):
        return t._pattern, values_of(t)
    return coalesced(t)


def _of_values(name: str) -> Callable[..., Any]:
    function = OPS[name].function

    def apply(self: Any, *args: Any, **named: Any) -> Any:
        pattern, values = at_places(self)
        return from_values(pattern, function(values, *args, **named))

    apply.__name__ = name
    return apply


for _name in KEEPS_ZERO:
    if _name in OPS:
        implements(_name, in_place=OPS[_name].inplace)(_of_values(_name))


def _linear(t: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a linear function to the values, places named twice included."""
    return from_values(t._pattern, function(values_of(t)))


@implements("neg", in_place=True)
def neg(self: Any) -> Any:
    """The negative."""
    return _linear(self, fb.neg)


@implements("conj")
def conj(self: Any) -> Any:
    """The complex conjugate."""
    return _linear(self, fb.conj)


@implements("to_copy")
def convert(
    self: Any, *, dtype: Any = None, device: Any = None, memory_format: Any = None
) -> Any:
    """A copy with another dtype or on another device."""
    pattern = self._pattern.copy() if device is None else self._pattern.to(fb.device(device))
    return from_values(pattern, to_copy(values_of(self), dtype=dtype, device=device))


@implements("pow", in_place=True)
def power(self: Any, exponent: Any) -> Any:
    """The power with an exponent greater than 0."""
    if not isinstance(self, SparseTensor) or isinstance(exponent, Tensor):
        raise RuntimeError("pow: a sparse tensor needs a number as exponent")
    if not exponent:
        raise RuntimeError("cannot raise to zeroth power on sparse tensor; it would make it dense")
    pattern, values = at_places(self)
    return from_values(pattern, values**exponent)


# ---- sums --------------------------------------------------------------------------------------
@implements("add", in_place=True)
def add(self: Any, other: Any, *, alpha: Any = 1) -> Any:
    """The sum: sparse of two sparse tensors, dense of a dense tensor and a sparse one."""
    if not isinstance(other, Tensor):
        raise RuntimeError("add(sparse, number) is not supported: it would make the tensor dense.")
    if not isinstance(other, SparseTensor):
        return fb.add(to_dense(self), other, alpha=alpha)
    if not isinstance(self, SparseTensor):
        return self + (to_dense(other) if alpha == 1 else to_dense(other) * alpha)
    if self.shape != other.shape:
        raise RuntimeError(
            f"add: expected sizes of 'self' and 'other' to match, but {list(self.shape)} != "
            f"{list(other.shape)}")
    wanted = self.layout
    if wanted is not sparse_coo:
        both = add(to_sparse(self), to_sparse(other), alpha=alpha)
        pattern: Any = self._pattern
        return to_sparse(
            both, layout=wanted, blocksize=pattern.blocksize if pattern.is_blocked else None)
    a: Any = self._pattern
    b: Any = to_sparse(other)._pattern
    if a.sparse_dim != b.sparse_dim:
        raise RuntimeError(
            "add: expected 'self' and 'other' to have same number of sparse dimensions")
    x, y = values_of(self), values_of(to_sparse(other))
    if a is b or a.indices is b.indices:
        return from_values(a, fb.add(x, y, alpha=alpha))
    dtype = fb.result_type(x, y)
    joined = fb.cat([x.to(dtype), (y if alpha == 1 else y * alpha).to(dtype)])
    return from_values(Coordinates(fb.cat([a.indices, b.indices], 1), a.shape), joined)


@implements("sub", in_place=True)
def sub(self: Any, other: Any, *, alpha: Any = 1) -> Any:
    """The difference; see :func:`add`."""
    return add(self, other, alpha=-alpha)


# ---- products ----------------------------------------------------------------------------------
def _is_number(value: Any) -> bool:
    return not isinstance(value, Tensor) or (
        not value.ndim and not isinstance(value, SparseTensor))


@implements("mul", in_place=True)
def mul(self: Any, other: Any) -> Any:
    """The product; its places are those of the sparse factor, or that two of them share."""
    if not isinstance(self, SparseTensor):
        self, other = other, self
    if _is_number(other):
        return _linear(self, lambda values: values * other)
    if fb.broadcast_shapes(self.shape, other.shape) != self.shape:
        raise RuntimeError(
            f"mul: the shape {list(other.shape)} cannot be broadcast to the sparse tensor's "
            f"{list(self.shape)}")
    if not isinstance(other, SparseTensor):
        pattern, values = self._pattern, values_of(self)
        return from_values(pattern, values * pattern.take(other.expand(self.shape)))
    return _shared(self, other)


def _shared(a: Any, b: Any) -> Any:
    """The product of two sparse tensors, at the places that both have."""
    if a.shape != b.shape:
        raise RuntimeError(
            f"mul: sparse tensors of shapes {list(a.shape)} and {list(b.shape)} do not fit")
    pattern, values = at_places(a)
    there, others = coalesced(b)
    if not isinstance(pattern, Coordinates):
        return from_values(pattern, values * take(pattern, b))
    if pattern.sparse_dim != there.sparse_dim:
        raise RuntimeError("mul operands have incompatible sparse dimensions")
    is_shared = fb.isin(pattern.keys, there.keys).nonzero().reshape(-1)
    common = Coordinates(fb.index_select(pattern.indices, 1, is_shared), pattern.shape, True)
    kept = fb.index_select(values, 0, is_shared)
    return from_values(common, kept * common.take_from(there, others))


@implements("true_divide")
@implements("div", in_place=True)
def div(self: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """The quotient by a number, or by a dense tensor without dimensions."""
    if not isinstance(self, SparseTensor):
        raise fb.errors.LayoutError(
            "div: a dense tensor cannot be divided by a sparse one; use .to_dense()")
    if not _is_number(other):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(other.shape)} for divisor)")
    pattern, values = (self._pattern, values_of(self)) if rounding_mode is None else at_places(self)
    return from_values(pattern, fb.div(values, other, rounding_mode=rounding_mode))


@implements("floor_divide", in_place=True)
def floor_divide(self: Any, other: Any) -> Any:
    """The quotient by a number, rounded down."""
    return div(self, other, rounding_mode="floor")


for _name, _operator in (
    ("add", "iadd"), ("sub", "isub"), ("mul", "imul"), ("div", "itruediv"),
    ("floor_divide", "ifloordiv"), ("pow", "ipow"),
):
    setattr(SparseTensor, f"__{_operator}__", getattr(SparseTensor, f"{_name}_"))
