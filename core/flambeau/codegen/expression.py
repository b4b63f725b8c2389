"""The scalar formula as a tree: immutable nodes that print as text which parses back to them.

An expression is a term, or a :class:`Let`: a list of bindings followed by a term.  Bindings stand
nowhere else and each name is bound once, so an expression is straight-line code already: a
printer of C emits one declaration per binding, then the result.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from flambeau.codegen.category import Category
from flambeau.codegen.errors import FormulaError

UnaryOperator: TypeAlias = typing.Literal["-", "~", "!"]
BinaryOperator: TypeAlias = typing.Literal["+", "-", "*", "/", "&", "|", "^", "<<", ">>"]
CompareOperator: TypeAlias = typing.Literal["<", "<=", ">", ">=", "==", "!="]
LogicalOperator: TypeAlias = typing.Literal["&&", "||"]

_LARGEST: Final = 2**64 - 1


class Node:
    """Base of the nodes; ``str(node)`` is the canonical text."""

    __slots__ = ()

    def __str__(self) -> str:
        from flambeau.codegen.printing import render

        return render(typing.cast("Expression", self))[0]


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant that is not negative (a minus sign is a :class:`Unary`, as in C).

    ``category`` tells ``1`` from ``1.0`` and ``true``, which Python holds equal.

    Raises:
        FormulaError: for a negative value, or an integer of more than 64 bits.
        TypeError: for anything but bool, int and float.
    """

    value: bool | int | float
    category: Category = field(init=False)

    def __post_init__(self) -> None:
        category, value = _normal(self.value)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "category", category)


@dataclass(frozen=True, slots=True)
class Name(Node):
    """An argument of the formula, or a name that a :class:`Let` binds."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-x``, ``~x`` or ``!x``."""

    operator: UnaryOperator
    operand: Term


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An arithmetic or bit operation."""

    operator: BinaryOperator
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A comparison: gives a bool."""

    operator: CompareOperator
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """``&&`` or ``||``: an operand counts as true where it is not zero; gives a bool."""

    operator: LogicalOperator
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Select(Node):
    """``condition ? when_true : when_false``."""

    condition: Term
    when_true: Term
    when_false: Term


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of :data:`flambeau.codegen.functions.FUNCTIONS`, or one still to be inlined."""

    function: str
    arguments: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Let(Node):
    """``name = value; ...; body``: the bindings in order, each seen by all that follows it."""

    bindings: tuple[tuple[str, Term], ...]
    body: Term


Term: TypeAlias = Literal | Name | Unary | Binary | Compare | Logical | Select | Call
Expression: TypeAlias = Term | Let


def _normal(value: object) -> tuple[Category, bool | int | float]:
    if isinstance(value, bool):
        return Category.BOOL, value
    if isinstance(value, int):
        if not 0 <= value <= _LARGEST:
            raise FormulaError(f"a literal integer is from 0 to 2**64 - 1, got {value}")
        return Category.INTEGER, int(value)
    if isinstance(value, float):
        if math.isnan(value):
            return Category.FLOATING, math.nan  # one object: nan is equal to itself as a node
        if math.copysign(1.0, value) < 0:
            raise FormulaError(f"a literal is not negative, got {value}: use constant()")
        return Category.FLOATING, float(value)
    raise TypeError(f"a literal is a bool, int or float, got {type(value).__name__}")


def constant(value: bool | float) -> Term:
    """The term of a Python number, negative ones (and ``-0.0``) included."""
    signed_zero = isinstance(value, float) and value == 0 and math.copysign(1.0, value) < 0
    return Unary("-", Literal(-value)) if value < 0 or signed_zero else Literal(value)


def bindings_of(expression: Expression) -> tuple[tuple[str, Term], ...]:
    """The bindings in front of an expression; none for a term."""
    return expression.bindings if isinstance(expression, Let) else ()


def body_of(expression: Expression) -> Term:
    """The term that gives an expression's value."""
    return expression.body if isinstance(expression, Let) else expression


def children(node: Expression) -> tuple[Term, ...]:
    """The terms that a node is made of, in the order of the text."""
    match node:
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right) | Compare(_, left, right) | Logical(_, left, right):
            return (left, right)
        case Select(condition, when_true, when_false):
            return (condition, when_true, when_false)
        case Call(_, arguments):
            return arguments
        case Let(bindings, body):
            return (*(value for _, value in bindings), body)
    return ()


def map_children(node: Term, function: Callable[[Term], Term]) -> Term:
    """The same node over ``function(child)`` for each child."""
    match node:
        case Unary(operator, operand):
            return Unary(operator, function(operand))
        case Binary(operator, left, right):
            return Binary(operator, function(left), function(right))
        case Compare(operator, left, right):
            return Compare(operator, function(left), function(right))
        case Logical(operator, left, right):
            return Logical(operator, function(left), function(right))
        case Select(condition, when_true, when_false):
            return Select(function(condition), function(when_true), function(when_false))
        case Call(name, arguments):
            return Call(name, tuple(function(argument) for argument in arguments))
    return node


def walk(expression: Expression) -> Iterator[Expression]:
    """Every node, a parent before its children, in the order of the text."""
    pending: list[Expression] = [expression]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def free_names(expression: Expression) -> frozenset[str]:
    """The names that an expression takes from outside."""
    bound: set[str] = set()
    free: set[str] = set()
    for name, value in bindings_of(expression):
        free |= _names(value) - bound
        bound.add(name)
    return frozenset(free | (_names(body_of(expression)) - bound))


def _names(term: Term) -> set[str]:
    return {node.name for node in walk(term) if isinstance(node, Name)}
