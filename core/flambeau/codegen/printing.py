"""The canonical text of an expression: it parses back to the same tree."""

from __future__ import annotations

from typing import Final

from flambeau.codegen.expression import (
    Binary,
    Call,
    Compare,
    Expression,
    Literal,
    Logical,
    Name,
    Node,
    Select,
    Term,
    Unary,
    bindings_of,
    body_of,
)

SELECT: Final = 1
COMPARE: Final = 7
UNARY: Final = 11
PRIMARY: Final = 12
PRECEDENCE: Final[dict[str, int]] = {
    "||": 2, "&&": 3, "|": 4, "^": 5, "&": 6,
    "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE, "==": COMPARE, "!=": COMPARE,
    "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10,
}  # fmt: skip
"""How tightly an infix operator binds: C's order, with all six comparisons on one level."""


def render(expression: Expression) -> tuple[str, dict[int, int]]:
    """The canonical text, and per ``id`` of a node the column of its operator or first sign."""
    writer = _Writer()
    writer.expression(expression)
    return "".join(writer.pieces), writer.columns


class _Writer:
    """Writes with no more parentheses than the grammar needs."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.columns: dict[int, int] = {}

    def put(self, piece: str) -> None:
        self.pieces.append(piece)
        self.length += len(piece)

    def sign(self, node: Node, piece: str) -> None:
        """Put the piece that errors about the node point at."""
        self.columns.setdefault(id(node), self.length)
        self.put(piece)

    def expression(self, expression: Expression) -> None:
        for name, value in bindings_of(expression):
            self.put(f"{name} = ")
            self.term(value)
            self.put("; ")
        self.term(body_of(expression))

    def term(self, node: Term, floor: int = SELECT) -> None:
        """Write a node, in parentheses where it binds less tightly than ``floor``."""
        if _strength(node) >= floor:
            self.bare(node)
            return
        self.put("(")
        self.bare(node)
        self.put(")")

    def bare(self, node: Term) -> None:
        match node:
            case Literal(value):
                self.sign(node, str(value).lower() if isinstance(value, bool) else repr(value))
            case Name(name):
                self.sign(node, name)
            case Unary():
                self.unary(node)
            case Binary() | Compare() | Logical():
                self.infix(node)
            case Select():
                self.select(node)
            case Call():
                self.call(node)

    def unary(self, node: Unary) -> None:
        self.sign(node, node.operator)
        inner = node.operand
        minus_minus = isinstance(inner, Unary) and node.operator == inner.operator == "-"
        self.term(inner, PRIMARY if minus_minus else UNARY)  # "--" is C's decrement

    def infix(self, node: Binary | Compare | Logical) -> None:
        level = PRECEDENCE[node.operator]
        self.term(node.left, _operand_floor(node, node.left, level))
        self.put(" ")
        self.sign(node, node.operator)
        self.put(" ")
        self.term(node.right, _operand_floor(node, node.right, level + 1))

    def select(self, node: Select) -> None:
        self.term(node.condition, SELECT + 1)
        self.put(" ")
        self.sign(node, "?")
        self.put(" ")
        self.term(node.when_true)
        self.put(" : ")
        self.term(node.when_false)

    def call(self, node: Call) -> None:
        self.sign(node, f"{node.function}(")
        for position, argument in enumerate(node.arguments):
            self.put(", " if position else "")
            self.term(argument)
        self.put(")")


def _strength(node: Term) -> int:
    match node:
        case Select():
            return SELECT
        case Binary(operator) | Compare(operator) | Logical(operator):
            return PRECEDENCE[operator]
        case Unary():
            return UNARY
    return PRIMARY


def _operand_floor(parent: Binary | Compare | Logical, operand: Term, floor: int) -> int:
    # Comparisons do not chain, and the grammar wants them parenthesised below a bit operator.
    if isinstance(operand, Compare) and not isinstance(parent, Logical):
        return PRIMARY
    return floor
