"""Constant folding that no element type can tell from the unfolded formula.

The width of a kernel's types is not known here, so a fold must be right for every one:

- integers wrap, and ``+``, ``-``, ``*`` commute with wrapping; comparisons do not, and are folded
  between numbers that no type wraps;
- an operation on floats rounds once.  If both operands are exact in every floating type and the
  result is exact in float64, rounding the literal result is that same one rounding.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from flambeau.codegen.expression import (
    Binary,
    Compare,
    Expression,
    Let,
    Literal,
    Logical,
    Term,
    Unary,
    bindings_of,
    body_of,
    constant,
    map_children,
)
from flambeau.codegen.inference import tree_of

_ARITHMETIC: Final[dict[str, Callable[[Fraction, Fraction], Fraction]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def fold(expression: str | Expression) -> Expression:
    """The expression with operations on literals replaced by their values, where exact.

    Raises:
        FormulaError: for text that does not parse.

    >>> str(fold("self * (2 * 3 - 1) + 0.1 * 0.2"))
    'self * 5 + 0.1 * 0.2'
    """
    tree = tree_of(expression)
    body = _fold(body_of(tree))
    bindings = tuple((name, _fold(value)) for name, value in bindings_of(tree))
    return Let(bindings, body) if bindings else body


def _fold(term: Term) -> Term:
    term = map_children(term, _fold)
    match term:
        case Unary("-", Unary("-", Literal(bool()))) | Unary("-", Literal(bool())):
            return term  # an integer, unlike its operand
        case Unary("-", Unary("-", Literal() as literal)):
            return literal
        case Unary("!", Literal(bool(value))):
            return Literal(not value)
        case Binary(sign, left, right) if sign in _ARITHMETIC:
            return _arithmetic(term, sign, _number(left), _number(right))
        case Compare(sign, left, right):
            return _comparison(term, sign, _number(left), _number(right))
        case Logical(sign, Literal(bool(left)), Literal(bool(right))):
            return Literal(left and right if sign == "&&" else left or right)
    return term


def _number(term: Term) -> float | None:
    """The value of a literal, with or without a minus sign."""
    match term:
        case Literal(bool()) | Unary("-", Literal(bool())):
            return None
        case Literal(value):
            return value
        case Unary("-", Literal(value)):
            return -value
    return None


def _arithmetic(term: Term, sign: str, left: float | None, right: float | None) -> Term:
    if left is None or right is None:
        return term
    if isinstance(left, int) and isinstance(right, int):
        return _integer(term, sign, left, right)
    if not (_is_safe(left) and _is_safe(right)) or (sign == "/" and right == 0):
        return term
    exact = _ARITHMETIC[sign](Fraction(left), Fraction(right))
    # A zero result has a sign, which depends on the signs of zeros that Fraction does not have.
    if exact == 0 or Fraction(float(exact)) != exact:
        return term
    return constant(float(exact))


def _integer(term: Term, sign: str, left: int, right: int) -> Term:
    if sign == "/":
        return term  # an error, left to the type checker
    value = int(_ARITHMETIC[sign](Fraction(left), Fraction(right)))
    return constant(value) if abs(value) < 2**63 else term


def _comparison(term: Term, sign: str, left: float | None, right: float | None) -> Term:
    if left is None or right is None:
        return term
    if not (_is_safe(left) and _is_safe(right)):
        return term
    return Literal(_COMPARISONS[sign](left, right))


def _is_safe(value: float) -> bool:
    """Whether every type holds the value: 7 bits if integer, else 8 bits from 2**-14 to 2**16."""
    if isinstance(value, int):
        return 0 <= value <= 127
    if value == 0 or not math.isfinite(value):
        return value == 0
    fraction, exponent = math.frexp(value)
    return -13 <= exponent <= 16 and (fraction * 256).is_integer()
