"""Meta rules that many ops share: dtype promotion, broadcasting, reduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from flambeau import dtypes
from flambeau.dtypes import dtype
from flambeau.layout import (
    Layout,
    Size,
    broadcast_shapes,
    contiguous_strides,
    strides_in_order,
    wrap_dim,
    wrap_dims,
)
from flambeau.registry import Plan, Result, Rule
from flambeau.tensor import Tensor

Promotion = Literal["same", "float", "bool", "real"]
_types: Final[dict[Any, tuple[dtype, ...]]] = {}


def computation_type(*operands: Any) -> dtype:
    """The dtype to which operands (tensors and numbers) are promoted together."""
    key = tuple(
        (o._kind.dtype, o.ndim > 0) if isinstance(o, Tensor) else type(o) for o in operands
    )
    cached = _types.get((key, dtypes.get_default_dtype()))
    if cached is not None:
        return cached[0]
    result = dtypes.result_type([
        (o.dtype, o.ndim, None) if isinstance(o, Tensor) else (None, 0, o) for o in operands
    ])
    _types[key, dtypes.get_default_dtype()] = (result,)
    return result


def cast(operand: Any, to: dtype) -> Any:
    """An operand in another dtype, below autograd; numbers become numbers of that category."""
    if isinstance(operand, Tensor):
        if operand._kind.dtype is to:
            return operand
        from flambeau.dispatch import convert
        from flambeau.kind import kind_of

        return convert(operand, kind_of(operand._kind.device, to))
    return number(operand, to)


def number(value: Any, to: dtype) -> Any:
    """A Python number as a value of a dtype; integers wrap around as in C."""
    if isinstance(value, Tensor):
        value = value.item()
    if to.category == 0:
        return bool(value)
    if to.category == 1:
        wrapped = int(value) & ((1 << 8 * to.itemsize) - 1)
        top = 1 << (8 * to.itemsize - 1)
        return wrapped - 2 * top if to.is_signed and wrapped >= top else wrapped
    return complex(value) if to.category == 3 else float(value)


def result_strides(shape: Size, operands: Sequence[Any]) -> tuple[int, ...] | None:
    """The memory order of an elementwise result: that of the first dense operand of its shape."""
    for operand in operands:
        if isinstance(operand, Tensor):
            layout = operand.layout_()
            if layout.shape == shape:
                if layout.is_contiguous:
                    return None
                if layout.is_dense():
                    return layout.strides
                if not layout.overlaps_itself():
                    return strides_in_order(shape, layout.order())
    return None


def pointwise(
    result: Promotion = "same", *, minimum: Literal["any", "float"] = "any",
    refuse: dict[str, str] | None = None,
) -> Rule:
    """The rule of an elementwise op over its leading tensor arguments.

    Args:
        result: dtype of the result: the computation's, or bool, or its real type.
        minimum: "float" turns integers and booleans into the default floating type.
        refuse: category of computation ("bool", "complex") -> message of the error.
    """

    def rule(*args: Any) -> Plan:
        compute = computation_type(*args)
        if refuse is not None:
            category = ("bool", "integer", "floating", "complex")[compute.category]
            if category in refuse:
                raise RuntimeError(refuse[category])
        if minimum == "float" and compute.category < 2:
            compute = dtypes.get_default_dtype()
        return elementwise_plan(args, compute, result)

    return rule


def elementwise_plan(args: Sequence[Any], compute: dtype, result: Promotion = "same") -> Plan:
    """Inputs in one dtype, and a result of the broadcast shape."""
    shape = broadcast_shapes(*(t.shape for t in args if isinstance(t, Tensor)))
    out = {"bool": dtypes.bool, "real": compute.to_real()}.get(result, compute)
    inputs = tuple(cast(a, compute) for a in args)
    return Plan(inputs, (Result(shape, out, result_strides(shape, args)),))


def reduced_dims(dim: Any, ndim: int) -> tuple[int, ...] | None:
    """The dimensions a reduction runs over, counted from the front; None for all."""
    if dim is None:
        return None
    if isinstance(dim, (tuple, list)):
        if not dim:
            return None
        dims = wrap_dims(dim, ndim)
        return dims if ndim else None
    only = (wrap_dim(int(dim), ndim),)
    return only if ndim else None


def reduced_shape(shape: Sequence[int], dims: tuple[int, ...] | None, keepdim: bool) -> list[int]:
    """The shape after a reduction."""
    if dims is None:
        return [1] * len(shape) if keepdim else []
    if keepdim:
        return [1 if i in dims else n for i, n in enumerate(shape)]
    return [n for i, n in enumerate(shape) if i not in dims]


def reduction(result: Callable[[dtype], dtype], *, needs_elements: str = "") -> Rule:
    """The rule of a reduction ``(self, dim, keepdim, dtype=None)``.

    Args:
        result: the result's dtype from the input's.
        needs_elements: the op's name if it has no value for zero elements.
    """

    def rule(self: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Plan:
        dims = reduced_dims(dim, self.ndim)
        if needs_elements:
            check_not_empty(needs_elements, self, dims)
        if dtype is not None and dtype is not self.dtype:
            self = cast(self, dtype)
        out = dtype if dtype is not None else result(self.dtype)
        shape = reduced_shape(self.shape, dims, keepdim)
        return Plan((self,), (Result(shape, out),), {"dim": dims, "keepdim": bool(keepdim)})

    return rule


def check_not_empty(name: str, t: Tensor, dims: tuple[int, ...] | None) -> None:
    """Refuse to reduce over no elements when the op has no identity.

    Raises:
        IndexError: naming the op and the dimension.
        RuntimeError: if no dimension was named.
    """
    for d in range(t.ndim) if dims is None else dims:
        if t.ndim and t.shape[d] == 0 and (dims is not None or t.numel() == 0):
            if dims is not None:
                raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument.")


def contiguous_like(layout: Layout) -> tuple[int, ...]:
    """Strides of a dense tensor in the memory order of a layout, or row-major if it overlaps."""
    if layout.is_contiguous or layout.overlaps_itself():
        return contiguous_strides(layout.shape)
    return layout.strides if layout.is_dense() else strides_in_order(layout.shape, layout.order())
