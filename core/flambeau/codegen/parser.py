"""Text to tree.  The grammar stands in ``docs/formula-language.md``."""

from __future__ import annotations

import functools
import math
import re
import typing
from typing import Final, NamedTuple

from flambeau.codegen.errors import FormulaError
from flambeau.codegen.expression import (
    Binary,
    BinaryOperator,
    Call,
    Compare,
    CompareOperator,
    Expression,
    Let,
    Literal,
    Logical,
    LogicalOperator,
    Name,
    Node,
    Select,
    Term,
    Unary,
    UnaryOperator,
    children,
)
from flambeau.codegen.lexer import FOREIGN, Token, tokens
from flambeau.codegen.printing import COMPARE, PRECEDENCE

NodeType = typing.TypeVar("NodeType", bound=Node)

MAX_DEPTH: Final = 64
"""How deep terms nest; the passes over trees are recursive, and rely on it."""

_MAX_OPEN: Final = 2 * MAX_DEPTH + 1
"""A right operand in parentheses opens two levels of the parser for one of the tree."""

CONSTANTS: Final[dict[str, bool | float]] = {
    "true": True,
    "false": False,
    "inf": math.inf,
    "nan": math.nan,
    "pi": math.pi,
}

_INTEGER: Final = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_FLOAT: Final = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class Parsed(NamedTuple):
    """A tree with the text it came from."""

    tree: Expression
    text: str
    columns: dict[int, int]
    """Per ``id`` of a node of the tree: where its operator or first sign stands."""


def parse(text: str) -> Expression:
    """The tree of a formula.  Results are kept: to parse again costs a look-up.

    Raises:
        FormulaError: with a caret under the place at fault.
    """
    return parse_with_columns(text).tree


@functools.lru_cache(maxsize=4096)
def parse_with_columns(text: str) -> Parsed:
    """As :func:`parse`, with what an error found later needs to point into the text."""
    parser = _Parser(text)
    tree = parser.formula()
    _check_depth(tree, text)
    return Parsed(tree, text, parser.columns)


def _check_depth(tree: Expression, text: str) -> None:
    level: list[Term] = list(children(tree))
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = [child for node in level for child in children(node)]
    raise _too_deep(text)


def _too_deep(text: str) -> FormulaError:
    return FormulaError(
        f"the formula nests more than {MAX_DEPTH} deep: name its parts, as in t = ...; f(t)", text
    )


class _Parser:
    """Recursive descent; infix operators by precedence climbing."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.position = 0
        self.open = 0  # calls of `infix` under way
        self.columns: dict[int, int] = {}
        self.grouped: set[int] = set()  # ids of terms that stood in parentheses
        self.bound: set[str] = set()
        self.used: set[str] = set()

    # ---- tokens

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def accept(self, sign: str) -> bool:
        if self.next.text != sign:
            return False
        self.position += 1
        return True

    def expect(self, sign: str, purpose: str) -> None:
        if not self.accept(sign):
            raise self.unexpected(f"'{sign}' {purpose}")

    def error(self, reason: str, column: int) -> FormulaError:
        return FormulaError(reason, self.text, column)

    def unexpected(self, wanted: str) -> FormulaError:
        token = self.next
        if token.text in FOREIGN:
            return self.error(FOREIGN[token.text], token.column)
        found = "the end" if token.kind == "end" else f"{token.text!r}"
        return self.error(f"expected {wanted}, found {found}", token.column)

    # ---- the formula

    def formula(self) -> Expression:
        if self.next.kind == "end":
            raise self.error("the formula is empty", 0)
        bindings = []
        while self.at_binding():
            bindings.append(self.binding())
        body = self.select()
        if self.next.text == ";":
            reason = "';' stands only after a binding, name = value; the result comes last"
            raise self.error(reason, self.next.column)
        if self.next.kind != "end":
            raise self.unexpected("an operator or the end")
        return Let(tuple(bindings), body) if bindings else body

    def at_binding(self) -> bool:
        return self.next.kind == "name" and self.tokens[self.position + 1].text == "="

    def binding(self) -> tuple[str, Term]:
        name = self.take()
        self.check_new(name)
        self.take()
        value = self.select()
        self.check_new(name)  # again: its own value may have used it
        self.expect(";", f"after the value of {name.text!r}")
        if self.next.kind == "end":
            raise self.error("the formula lacks its result, after the bindings", self.next.column)
        self.bound.add(name.text)
        return name.text, value

    def check_new(self, name: Token) -> None:
        """Single assignment: a name has one meaning in the whole formula."""
        if name.text in CONSTANTS or name.text in FOREIGN:
            raise self.error(f"{name.text!r} is reserved and cannot be bound", name.column)
        if name.text in self.bound:
            raise self.error(f"{name.text!r} is bound twice: use another name", name.column)
        if name.text in self.used:
            reason = f"{name.text!r} is used before it is bound: use another name"
            raise self.error(reason, name.column)

    # ---- terms

    def select(self) -> Term:
        condition = self.infix(0)
        if self.next.text == "?":
            column = self.take().column
            when_true = self.select()
            self.expect(":", "of 'condition ? a : b'")
            condition = self.at(column, Select(condition, when_true, self.select()))
        return condition

    def infix(self, floor: int) -> Term:
        """Operators that bind at least as tightly as ``floor`` (precedence climbing)."""
        self.open += 1
        if self.open > _MAX_OPEN:
            raise _too_deep(self.text)
        left = self.unary()
        while (level := PRECEDENCE.get(self.next.text, -1)) >= floor:
            token = self.take()
            right = self.infix(level + 1)
            self.check_mixture(token, level, left, right)
            left = self.at(token.column, _infix_node(token.text, left, right))
        self.open -= 1
        return left

    def check_mixture(self, token: Token, level: int, left: Term, right: Term) -> None:
        """C reads ``a & b == c`` as ``a & (b == c)``, and ``a < b < c`` as ``(a < b) < c``."""
        if token.text not in ("&", "|", "^") and level != COMPARE:
            return
        for operand in (left, right):
            if isinstance(operand, Compare) and id(operand) not in self.grouped:
                if level == COMPARE:
                    reason = "comparisons do not chain: write a < b && b < c, or parentheses"
                else:
                    reason = f"'{token.text}' beside a comparison needs parentheses"
                raise self.error(reason, token.column)

    def unary(self) -> Term:
        """Any number of prefix operators before a primary."""
        prefixes = []
        while self.next.text in ("-", "~", "!"):
            prefixes.append(self.take())
        term = self.primary()
        for token in reversed(prefixes):
            term = self.at(token.column, Unary(typing.cast(UnaryOperator, token.text), term))
        return term

    def primary(self) -> Term:
        token = self.next
        if token.kind == "number":
            return self.at(token.column, self.number(self.take()))
        if token.kind == "name" and token.text not in FOREIGN:
            return self.name(self.take())
        if self.accept("("):
            term = self.select()
            self.expect(")", "to close the parenthesis")
            self.grouped.add(id(term))
            return term
        raise self.unexpected("a value")

    def number(self, token: Token) -> Literal:
        if _INTEGER.fullmatch(token.text):
            return Literal(self.integer(token))
        if _FLOAT.fullmatch(token.text):
            return Literal(self.decimal(token))
        reason = f"malformed number {token.text!r}: numbers have no suffix"
        raise self.error(reason, token.column)

    def integer(self, token: Token) -> int:
        text = token.text
        if text.isdigit() and text[0] == "0" and len(text) > 1:
            reason = f"{text!r} would be octal in C: write it without the leading zero"
            raise self.error(reason, token.column)
        # The length goes first: int() refuses thousands of digits with an error of its own.
        if len(text) > 20 or (value := int(text, 0)) >= 2**64:
            raise self.error("an integer has at most 64 bits", token.column)
        return value

    def decimal(self, token: Token) -> float:
        value = float(token.text)
        if math.isinf(value):
            raise self.error("the number is out of range: write inf", token.column)
        return value

    def name(self, token: Token) -> Term:
        if self.next.text == "(":
            return self.call(token)
        if token.text in CONSTANTS:
            return self.at(token.column, Literal(CONSTANTS[token.text]))
        self.used.add(token.text)
        return self.at(token.column, Name(token.text))

    def call(self, function: Token) -> Term:
        arguments = self.arguments(function)
        if function.text != "where":
            return self.at(function.column, Call(function.text, arguments))
        if len(arguments) != 3:
            reason = f"where takes 3 arguments (condition, a, b), got {len(arguments)}"
            raise self.error(reason, function.column)
        return self.at(function.column, Select(*arguments))

    def arguments(self, function: Token) -> tuple[Term, ...]:
        self.take()
        if self.accept(")"):
            return ()
        found = [self.select()]
        while self.accept(","):
            found.append(self.select())
        self.expect(")", f"to close the arguments of {function.text}")
        return tuple(found)

    def at(self, column: int, node: NodeType) -> NodeType:
        self.columns[id(node)] = column
        return node


def _infix_node(operator: str, left: Term, right: Term) -> Term:
    if PRECEDENCE[operator] == COMPARE:
        return Compare(typing.cast(CompareOperator, operator), left, right)
    if operator in ("&&", "||"):
        return Logical(typing.cast(LogicalOperator, operator), left, right)
    return Binary(typing.cast(BinaryOperator, operator), left, right)
