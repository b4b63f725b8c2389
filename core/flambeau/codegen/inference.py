"""The type checker: the category of each term from those of the arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flambeau.codegen.category import Category
from flambeau.codegen.errors import FormulaError
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
    free_names,
)
from flambeau.codegen.functions import FUNCTIONS, Function, number
from flambeau.codegen.parser import Parsed, parse_with_columns
from flambeau.codegen.printing import render


def infer(
    expression: str | Expression,
    categories: Mapping[str, int],
    functions: Mapping[str, Function] = FUNCTIONS,
) -> Category:
    """The category of a formula's value.

    Args:
        expression: text or tree.
        categories: per argument its :class:`Category`, or the same number
            (``dtype.category``); the formula need not use them all.
        functions: what may be called.

    Raises:
        FormulaError: for an unknown name or function, a wrong number of arguments, or an operand
            of a category that the operation does not take; a caret shows where.
    """
    checker = _Checker(expression, categories, functions)
    return checker.run()


def infer_terms(
    expression: str | Expression,
    categories: Mapping[str, int],
    functions: Mapping[str, Function] = FUNCTIONS,
) -> dict[Term, Category]:
    """The category of every term, for printers that write another word per type.

    Equal terms have equal categories, because a name has one meaning in a whole formula.
    """
    checker = _Checker(expression, categories, functions)
    checker.run()
    return checker.found


def tree_of(expression: str | Expression) -> Expression:
    """The tree of a formula given as text or as the tree itself."""
    return parse_with_columns(expression).tree if isinstance(expression, str) else expression


class _Checker:
    def __init__(
        self,
        expression: str | Expression,
        categories: Mapping[str, int],
        functions: Mapping[str, Function],
    ) -> None:
        self.functions = functions
        self.source: Parsed | None = None
        if isinstance(expression, str):
            self.source = parse_with_columns(expression)
        self.tree = tree_of(expression)
        self.names = {name: Category(category) for name, category in categories.items()}
        self.found: dict[Term, Category] = {}

    def run(self) -> Category:
        free, bound = free_names(self.tree), set[str]()
        for name, value in bindings_of(self.tree):
            if name in bound or name in free:
                what = "bound twice" if name in bound else "used before it is bound"
                raise FormulaError(f"{name!r} is {what}", self.text_and_columns()[0])
            bound.add(name)
            self.names[name] = self.check(value)
        return self.check(body_of(self.tree))

    def text_and_columns(self) -> tuple[str, dict[int, int]]:
        if self.source is not None:
            return self.source.text, self.source.columns
        return render(self.tree)

    def error(self, node: Node, reason: str) -> FormulaError:
        text, columns = self.text_and_columns()
        return FormulaError(reason, text, columns.get(id(node)))

    def check(self, node: Term) -> Category:
        category = self.rule(node)
        self.found[node] = category
        return category

    def rule(self, node: Term) -> Category:
        match node:
            case Literal():
                return node.category
            case Name():
                return self.name(node)
            case Unary():
                return self.unary(node)
            case Binary():
                return self.binary(node)
            case Compare():
                return self.compare(node)
            case Logical(_, left, right):
                self.check(left), self.check(right)
                return Category.BOOL
            case Select(condition, when_true, when_false):
                self.check(condition)
                return max(self.check(when_true), self.check(when_false))
            case Call():
                return self.call(node)

    def name(self, node: Name) -> Category:
        if node.name not in self.names:
            hint = _nearest(node.name, self.names)
            raise self.error(node, f"unknown name {node.name!r}: {hint}")
        return self.names[node.name]

    def unary(self, node: Unary) -> Category:
        operand = self.check(node.operand)
        if node.operator == "!":
            return Category.BOOL
        if node.operator == "-":
            return number(operand)
        return self.bits(node, operand)

    def binary(self, node: Binary) -> Category:
        left, right = self.check(node.left), self.check(node.right)
        highest = max(left, right)
        if node.operator in ("+", "-", "*"):
            return number(highest)
        if node.operator != "/":
            bits = self.bits(node, left, right)
            return number(bits) if node.operator in ("<<", ">>") else bits
        if highest < Category.FLOATING:
            reason = (
                f"'/' divides floating or complex values, got {left} / {right}: let the op cast "
                "its inputs, or write floor_divide(a, b) or trunc_divide(a, b)"
            )
            raise self.error(node, reason)
        return highest

    def bits(self, node: Unary | Binary, *operands: Category) -> Category:
        highest = max(operands)
        if highest > Category.INTEGER:
            got = " and ".join(map(str, operands))
            raise self.error(node, f"'{node.operator}' works on bool and integer bits, got {got}")
        return highest

    def compare(self, node: Compare) -> Category:
        highest = max(self.check(node.left), self.check(node.right))
        if highest is Category.COMPLEX and node.operator not in ("==", "!="):
            raise self.error(node, f"complex values have no order: '{node.operator}'")
        return Category.BOOL

    def call(self, node: Call) -> Category:
        arguments = [self.check(argument) for argument in node.arguments]
        function = self.functions.get(node.function)
        if function is None:
            hint = _nearest(node.function, self.functions)
            raise self.error(node, f"unknown function {node.function!r}: {hint}")
        if len(arguments) != function.arity:
            plural = "" if function.arity == 1 else "s"
            reason = f"{node.function} takes {function.arity} argument{plural}"
            raise self.error(node, f"{reason}, got {len(arguments)}")
        highest = max(arguments)
        if highest > function.limit:
            raise self.error(node, f"{node.function} takes no {highest} argument")
        return function.rule(highest)


def _nearest(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are {', '.join(sorted(known))}" if known else "the formula has no arguments"
