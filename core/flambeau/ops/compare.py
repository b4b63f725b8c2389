"""Comparison, selection, logic and bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flambeau import dtypes
from flambeau.formulas import for_reals
from flambeau.promotion import computation_type, elementwise_plan, pointwise
from flambeau.registry import Plan, composite, primitive
from flambeau.samples import (
    ErrorSample,
    Make,
    Sample,
    binary,
    broadcast_errors,
    error,
    of_tensors,
    sample,
    unary,
    unary_errors,
)
from flambeau.tensor import Tensor

_ordered = pointwise("bool", refuse={"complex": "comparison is not supported for complex tensors"})


def _compare_samples(make: Make) -> Iterator[Sample]:
    yield from binary()(make)
    x = make(3, 4)
    yield Sample((x, x.clone()), name="equal")


eq = primitive(
    "eq(Tensor self, Operand other) -> Tensor",
    doc="Where elements are equal; NaN is not equal to itself.",
    rule=pointwise("bool"), template="binary", formula="self == other", dtypes="all", inplace=True,
    aliases=("__eq__",), samples=_compare_samples, errors=broadcast_errors,
)

lt = primitive(
    "lt(Tensor self, Operand other) -> Tensor",
    doc="Where elements are less.",
    rule=_ordered, template="binary", formula="self < other", dtypes="real", inplace=True,
    aliases=("__lt__", "less"), samples=_compare_samples, errors=broadcast_errors,
)

le = primitive(
    "le(Tensor self, Operand other) -> Tensor",
    doc="Where elements are less or equal.",
    rule=_ordered, template="binary", formula="self <= other", dtypes="real", inplace=True,
    aliases=("__le__", "less_equal"), samples=_compare_samples, errors=broadcast_errors,
)


@composite(
    "ne(Tensor self, Operand other) -> Tensor",
    formula="self != other", template="binary",
    aliases=("__ne__", "not_equal"), dtypes="all",
    inplace=True, samples=_compare_samples, errors=broadcast_errors,
)
def ne(self: Tensor, other: Any) -> Tensor:
    """Where elements differ."""
    result: Tensor = bitwise_xor(eq(self, other), True)
    return result


def _swapped(op: Any, self: Tensor, other: Any) -> Tensor:
    if isinstance(other, Tensor):
        result: Tensor = op(other, self)
        return result
    from flambeau.ops.create import scalar_tensor

    # A number on the left would lose its weak type as a tensor of its own: keep it 0-d.
    result = op(scalar_tensor(other, dtype=computation_type(self, other), device=self.device), self)
    return result


@composite(
    "gt(Tensor self, Operand other) -> Tensor",
    formula="self > other", template="binary",
    aliases=("__gt__", "greater"), dtypes="real",
    inplace=True, samples=_compare_samples, errors=broadcast_errors,
)
def gt(self: Tensor, other: Any) -> Tensor:
    """Where elements are greater."""
    return _swapped(lt, self, other)


@composite(
    "ge(Tensor self, Operand other) -> Tensor",
    formula="self >= other", template="binary",
    aliases=("__ge__", "greater_equal"), dtypes="real",
    inplace=True, samples=_compare_samples, errors=broadcast_errors,
)
def ge(self: Tensor, other: Any) -> Tensor:
    """Where elements are greater or equal."""
    return _swapped(le, self, other)


def _where_rule(condition: Tensor, self: Any, other: Any) -> Plan:
    if condition.dtype is not dtypes.bool and condition.dtype is not dtypes.uint8:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{condition.dtype}"
        )
    compute = computation_type(self, other)
    plan = elementwise_plan((self, other), compute) if isinstance(self, Tensor) or isinstance(
        other, Tensor) else None
    from flambeau.layout import broadcast_shapes
    from flambeau.promotion import cast
    from flambeau.registry import Result

    shape = plan.results[0].shape if plan is not None else ()
    inputs = plan.inputs if plan is not None else (cast(self, compute), cast(other, compute))
    return Plan(
        (cast(condition, dtypes.bool), *inputs),
        (Result(broadcast_shapes(condition.shape, shape), compute),),
    )


def _where_samples(make: Make) -> Iterator[Sample]:
    yield Sample((make.mask(3, 4), make(3, 4), make(3, 4)), name="same")
    yield Sample((make.mask(4), make(3, 1), make()), name="broadcast")
    yield Sample((make.mask(3, 4), make(3, 4), 0.5), name="number")
    yield Sample((make.mask(0, 4), make(0, 4), make(4)), name="empty")


select_where = primitive(
    "select_where(Tensor condition, Operand self, Operand other) -> Tensor",
    doc="Elements of ``self`` where the condition holds, else of ``other``.",
    rule=_where_rule, formula="condition ? self : other", dtypes="all",
    namespaces=("_internal",),
    derivatives={
        "self": lambda g, condition: where(condition, g, 0.0),
        "other": lambda g, condition: where(condition, 0.0, g),
    },
    samples=_where_samples,
)


def _where_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "to be a boolean tensor", make(3, dtype=dtypes.float32), 1, 2)
    yield error(RuntimeError, "must match the size of tensor b", make.mask(3), make(2), 1)
    yield error(TypeError, "must be Tensor, not int", 1, make(3), make(3))


@composite(
    "where(Tensor condition, Operand? self=None, Operand? other=None) -> Tensor",
    samples=_where_samples, dtypes="all", method=False, errors=_where_errors,
)
def where(condition: Tensor, self: Any = None, other: Any = None) -> Any:
    """Elements of ``self`` where the condition holds, else of ``other``.

    With the condition alone: the indices where it holds, a tensor per dimension.
    """
    if self is None and other is None:
        from flambeau.ops.index import nonzero

        return nonzero(condition, as_tuple=True)
    return select_where(condition, self, other)


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Any:
    return where(condition, self, other)


setattr(Tensor, "where", _where_method)  # noqa: B010


# ---- bits --------------------------------------------------------------------------------------
_bits = pointwise(refuse={
    "floating": "bitwise operations are not implemented for floating tensors",
    "complex": "bitwise operations are not implemented for complex tensors",
})

bitwise_and = primitive(
    "bitwise_and(Tensor self, Operand other) -> Tensor", doc="And of bits, or of booleans.",
    rule=_bits, template="binary", formula="self & other", dtypes="bool_integral", inplace=True,
    aliases=("__and__", "__rand__"), samples=binary(), errors=broadcast_errors,
)
bitwise_or = primitive(
    "bitwise_or(Tensor self, Operand other) -> Tensor", doc="Or of bits, or of booleans.",
    rule=_bits, template="binary", formula="self | other", dtypes="bool_integral", inplace=True,
    aliases=("__or__", "__ror__"), samples=binary(), errors=broadcast_errors,
)
bitwise_xor = primitive(
    "bitwise_xor(Tensor self, Operand other) -> Tensor", doc="Exclusive or of bits or booleans.",
    rule=_bits, template="binary", formula="self ^ other", dtypes="bool_integral", inplace=True,
    aliases=("__xor__", "__rxor__"), samples=binary(), errors=broadcast_errors,
)


@composite(
    "bitwise_not(Tensor self) -> Tensor",
    formula="~self", template="unary", dtypes="bool_integral", inplace=True,
    aliases=("__invert__",), samples=unary(), errors=unary_errors,
)
def bitwise_not(self: Tensor) -> Tensor:
    """Complement of bits, or of booleans."""
    result: Tensor = bitwise_xor(self, True if self.dtype is dtypes.bool else -1)
    return result


# ---- logic -------------------------------------------------------------------------------------
def _as_bool(operand: Any) -> Any:
    if isinstance(operand, Tensor):
        return operand if operand.dtype is dtypes.bool else ne(operand, 0)
    return bool(operand)


@composite(
    "logical_not(Tensor self) -> Tensor",
    formula="!self", template="unary", dtypes="all", inplace=True,
    samples=unary(), errors=unary_errors,
)
def logical_not(self: Tensor) -> Tensor:
    """Where elements are zero."""
    result: Tensor = bitwise_xor(_as_bool(self), True)
    return result


@composite(
    "logical_and(Tensor self, Tensor other) -> Tensor",
    formula="self && other", template="binary",
    dtypes="all", inplace=True,
    samples=of_tensors, errors=broadcast_errors,
)
def logical_and(self: Tensor, other: Tensor) -> Tensor:
    """Where both are not zero."""
    result: Tensor = bitwise_and(_as_bool(self), _as_bool(other))
    return result


@composite(
    "logical_or(Tensor self, Tensor other) -> Tensor",
    formula="self || other", template="binary",
    dtypes="all", inplace=True,
    samples=of_tensors, errors=broadcast_errors,
)
def logical_or(self: Tensor, other: Tensor) -> Tensor:
    """Where either is not zero."""
    result: Tensor = bitwise_or(_as_bool(self), _as_bool(other))
    return result


@composite(
    "logical_xor(Tensor self, Tensor other) -> Tensor",
    formula="!self != !other", template="binary",
    dtypes="all", inplace=True,
    samples=of_tensors, errors=broadcast_errors,
)
def logical_xor(self: Tensor, other: Tensor) -> Tensor:
    """Where exactly one is not zero."""
    result: Tensor = bitwise_xor(_as_bool(self), _as_bool(other))
    return result


@composite(
    "isnan(Tensor self) -> Tensor",
    formula="isnan(self)", template="unary", dtypes="all",
    samples=unary(), errors=unary_errors,
)
def isnan(self: Tensor) -> Tensor:
    """Where elements are not a number."""
    result: Tensor = ne(self, self)
    return result


@composite(
    "isinf(Tensor self) -> Tensor",
    formula="isinf(self)", template="unary", dtypes="all",
    samples=unary(), errors=unary_errors,
)
def isinf(self: Tensor) -> Any:
    """Where elements, or a part of a complex one, are infinite."""
    if self.dtype.category < 2:
        return ne(self, self)
    if self.dtype.is_complex:
        from flambeau.ops.complex import imag, real

        return logical_or(isinf(real(self)), isinf(imag(self)))
    return eq(self.abs(), float("inf"))


@composite(
    "isposinf(Tensor self) -> Tensor", formula=for_reals("self == inf"), dtypes="real",
    samples=unary(), errors=unary_errors,
)
def isposinf(self: Tensor) -> Any:
    """Where elements are positive infinity."""
    if self.dtype.is_complex:
        raise RuntimeError("isposinf does not support complex inputs.")
    return ne(self, self) if self.dtype.category < 2 else eq(self, float("inf"))


@composite(
    "isneginf(Tensor self) -> Tensor", formula=for_reals("self == -inf"), dtypes="real",
    samples=unary(), errors=unary_errors,
)
def isneginf(self: Tensor) -> Any:
    """Where elements are negative infinity."""
    if self.dtype.is_complex:
        raise RuntimeError("isneginf does not support complex inputs.")
    return ne(self, self) if self.dtype.category < 2 else eq(self, float("-inf"))


@composite(
    "isfinite(Tensor self) -> Tensor",
    formula="abs(self) < inf", template="unary", dtypes="all",
    samples=unary(), errors=unary_errors,
)
def isfinite(self: Tensor) -> Any:
    """Where elements are neither infinite nor NaN."""
    return eq(self, self) if self.dtype.category < 2 else lt(self.abs(), float("inf"))


@composite(
    "isreal(Tensor self) -> Tensor", formula="imag(self) == 0", dtypes="all", samples=unary(),
    errors=unary_errors,
)
def isreal(self: Tensor) -> Any:
    """Where the imaginary part is 0."""
    from flambeau.ops.complex import imag

    if self.dtype.is_complex:
        return eq(imag(self), 0)
    return bitwise_or(eq(self, self), True)


# ---- closeness ---------------------------------------------------------------------------------
def _close_samples(make: Make) -> Iterator[Sample]:
    x = make(3, 4)
    yield sample(x, x.clone())
    yield sample(x, make(3, 4))
    yield sample(x, make(4), 0.5, 1.0)
    yield sample(x, x.clone(), equal_nan=True)
    yield sample(make(0, 4), make(4))


def _close_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "rtol must be", make(3), make(3), rtol=-1.0)
    yield error(RuntimeError, "atol must be", make(3), make(3), atol=-1.0)
    yield error(RuntimeError, "must match the size", make(3), make(2))


@composite(
    "isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, "
    "bool equal_nan=False) -> Tensor",
    dtypes="all", out=False, samples=_close_samples, errors=_close_errors,
)
def isclose(
    self: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    """Where ``|self - other| <= atol + rtol * |other|``, or both are the same."""
    if self.dtype is not other.dtype:
        raise RuntimeError(
            f"isclose: expected both tensors to have one dtype, but {self.dtype.name} did not "
            f"match {other.dtype.name}"
        )
    for name, bound in (("rtol", rtol), ("atol", atol)):
        if bound < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {bound}")
    close = eq(self, other)
    if equal_nan and self.dtype.category > 1:
        close = bitwise_or(close, bitwise_and(isnan(self), isnan(other)))
    if not rtol and not atol:
        return close
    if self.dtype.category < 2:  # differences of integers may not fit into their type
        self, other = (t.to(t._kind.widest_real()) for t in (self, other))
    apart = (self - other).abs()
    return bitwise_or(close, bitwise_and(isfinite(apart), le(apart, atol + (rtol * other).abs())))


@composite(
    "allclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, "
    "bool equal_nan=False) -> bool",
    dtypes="all", out=False, samples=_close_samples, errors=_close_errors,
)
def allclose(
    self: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    """Whether all elements are close, see :func:`isclose`."""
    return bool(isclose(self, other, rtol, atol, equal_nan).all())


def _equal_samples(make: Make) -> Iterator[Sample]:
    x = make(3, 4)
    yield sample(x, x.clone())
    yield sample(x, make(3, 4))
    yield sample(x, make(4, 3))


@composite(
    "equal(Tensor self, Tensor other) -> bool", dtypes="all", samples=_equal_samples, out=False,
    errors=lambda make: iter([error(TypeError, "must be Tensor, not float", make(3), 1.5)]),
)
def equal(self: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and the same elements."""
    if self.shape != other.shape:
        return False
    return not self.numel() or bool(eq(self, other).all())
