"""Formulas evaluated by NumPy: slow, and the oracle that kernels are held to.

Every operation rounds to the type asked for exactly once: narrower floats are computed in float64
(complex ones in complex128) and rounded after each operation.  It shares no code with any backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from flambeau.codegen import numerics
from flambeau.codegen.category import Category
from flambeau.codegen.expression import (
    Binary,
    Call,
    Compare,
    Expression,
    Literal,
    Logical,
    Name,
    Select,
    Term,
    Unary,
    bindings_of,
    body_of,
)
from flambeau.codegen.functions import FUNCTIONS, Rule, boolean, number, same
from flambeau.codegen.inference import infer, tree_of
from flambeau.codegen.numerics import Array

_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(("~", "&", "|", "^"), same),
    **dict.fromkeys(("+", "-", "*", "/", "<<", ">>"), number),
}


def evaluate(
    expression: str | Expression,
    values: Mapping[str, ArrayLike],
    dtype: DTypeLike = np.float64,
) -> Array:
    """The values of a formula.

    Args:
        expression: text or tree.
        values: per argument an array or a number.  Each keeps its category and is converted to
            the type that ``dtype`` sets for it.
        dtype: the type of one category.  Integers beside a floating ``dtype`` are int64; floats
            beside an integer one are float64; floats and complex numbers have parts of one width
            (complex64 is the narrowest).

    Returns:
        A new array of the shape that all the values broadcast to, used or not.

    Raises:
        FormulaError: for a formula that does not parse or type.
        TypeError: for values that are not bool, integer, floating or complex numbers.
        ValueError: for shapes that do not broadcast.
    """
    types = types_for(dtype)
    with np.errstate(all="ignore"):
        scope = {name: _admitted(name, value, types) for name, value in values.items()}
        infer(expression, {name: category_of(array.dtype) for name, array in scope.items()})
        shape = np.broadcast_shapes(*(array.shape for array in scope.values()))
        result = Evaluation(types, scope).run(tree_of(expression))
    return np.array(np.broadcast_to(result, shape))


def category_of(dtype: np.dtype[Any]) -> Category:
    """The category of a NumPy type, bfloat16 of ``ml_dtypes`` included.

    Raises:
        TypeError: for a type of no category.
    """
    found = {"b": Category.BOOL, "i": Category.INTEGER, "u": Category.INTEGER,
             "f": Category.FLOATING, "c": Category.COMPLEX}.get(dtype.kind)  # fmt: skip
    if found is not None:
        return found
    if dtype.name == "bfloat16":
        return Category.FLOATING
    raise TypeError(f"formulas compute with bools and numbers, got the NumPy type {dtype}")


def types_for(dtype: DTypeLike) -> dict[Category, np.dtype[Any]]:
    """The type of each category beside a given type; see :func:`evaluate`."""
    given = np.dtype(dtype)
    types: dict[Category, np.dtype[Any]] = {
        Category.BOOL: np.dtype(np.bool_),
        Category.INTEGER: np.dtype(np.int64),
        Category.FLOATING: np.dtype(np.float64),
        Category.COMPLEX: np.dtype(np.complex128),
    }
    category = category_of(given)
    types[category] = given
    if category is Category.COMPLEX:
        types[Category.FLOATING] = np.empty(0, given).real.dtype
    elif category is Category.FLOATING and given != np.float64:
        types[Category.COMPLEX] = np.dtype(np.complex64)
    return types


def _admitted(name: str, value: ArrayLike, types: Mapping[Category, np.dtype[Any]]) -> Array:
    array = np.asarray(value)
    try:
        return rounded(array, types[category_of(array.dtype)])
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


class Evaluation:
    """One evaluation.  Values are arrays whose types say their categories."""

    def __init__(self, types: Mapping[Category, np.dtype[Any]], scope: dict[str, Array]) -> None:
        self.types = types
        self.scope = scope
        is_narrow = types[Category.FLOATING] != np.float64
        self.functions = numerics.NARROW_FUNCTIONS if is_narrow else numerics.FUNCTIONS

    def run(self, tree: Expression) -> Array:
        """The value of an expression, its bindings first."""
        for name, value in bindings_of(tree):
            self.scope[name] = self.term(value)
        return self.term(body_of(tree))

    def term(self, node: Term) -> Array:
        """The value of a term."""
        match node:
            case Literal(value):
                return self.literal(value, node.category)
            case Name(name):
                return self.scope[name]
            case Unary("!", operand):
                return np.asarray(~self.truth(operand))
            case Unary(operator, operand):
                return self.apply(numerics.UNARY[operator], _RULES[operator], [operand])
            case Binary(operator, left, right):
                return self.apply(numerics.BINARY[operator], _RULES[operator], [left, right])
            case Compare(operator, left, right):
                return self.apply(numerics.COMPARE[operator], boolean, [left, right])
            case Logical(operator, left, right):
                both = np.logical_and if operator == "&&" else np.logical_or
                return np.asarray(both(self.truth(left), self.truth(right)))
            case Select(condition, when_true, when_false):
                return self.select(condition, when_true, when_false)
            case Call(function, arguments):
                return self.call(function, arguments)

    def call(self, function: str, arguments: Sequence[Term]) -> Array:
        """The value of a function."""
        return self.apply(self.functions[function], FUNCTIONS[function].rule, arguments)

    def literal(self, value: float, category: Category) -> Array:
        """A constant in the type of its category."""
        if category is Category.INTEGER:
            value = (int(value) + 2**63) % 2**64 - 2**63  # two's complement of 64 bits, then fewer
        return rounded(np.array(value), self.types[category])

    def truth(self, node: Term) -> Array:
        """Whether a term is not zero."""
        return self.term(node).astype(np.bool_)

    def select(self, condition: Term, when_true: Term, when_false: Term) -> Array:
        """One of two terms, in the higher of their categories."""
        branches = [self.term(when_true), self.term(when_false)]
        dtype = self.types[_highest(branches)]
        return np.where(self.truth(condition), *(rounded(branch, dtype) for branch in branches))

    def apply(self, function: Callable[..., Array], rule: Rule, operands: Sequence[Term]) -> Array:
        """Convert the operands to one category, compute in its widest type, round the result."""
        values = [self.term(operand) for operand in operands]
        highest = _highest(values)
        gives = rule(highest)
        dtype = self.types[max(highest, gives)]
        result = function(*(_widened(rounded(value, dtype)) for value in values))
        return rounded(np.asarray(result), self.types[gives])


def _highest(values: Sequence[Array]) -> Category:
    return max(category_of(value.dtype) for value in values)


def _widened(array: Array) -> Array:
    category = category_of(array.dtype)
    if category < Category.FLOATING:
        return array
    return array.astype(np.float64 if category is Category.FLOATING else np.complex128)


def rounded(array: Array, dtype: np.dtype[Any]) -> Array:
    """The array in a type of its own or a higher category, rounded once; integers wrap."""
    if dtype.name == "bfloat16" and array.dtype == np.float64:
        array = _to_odd_float32(array)  # ml_dtypes goes by float32: that would be rounding twice
    return array.astype(dtype)


def _to_odd_float32(array: Array) -> Array:
    """float64 to float32, inexact values to the neighbour whose last bit is odd."""
    nearest = np.asarray(array.astype(np.float32))
    is_odd = (nearest.view(np.int32) & 1).astype(np.bool_)
    is_exact = (nearest == array) | np.isnan(array)
    other = np.nextafter(nearest, np.where(array > nearest, np.inf, -np.inf).astype(np.float32))
    return np.where(is_odd | is_exact, nearest, other)
