"""Putting expressions in the place of names, and formulas in the place of calls.

Values are bound rather than copied, so that nothing is computed twice, the result grows no faster
than its parts, and fusing a long chain of ops makes a long list of bindings and no deep tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from flambeau.codegen.errors import FormulaError
from flambeau.codegen.expression import (
    Call,
    Expression,
    Let,
    Literal,
    Name,
    Term,
    Unary,
    bindings_of,
    body_of,
    free_names,
    map_children,
)
from flambeau.codegen.inference import tree_of
from flambeau.codegen.parser import CONSTANTS


def substitute(expression: str | Expression, values: Mapping[str, str | Expression]) -> Expression:
    """The expression with other expressions in the place of some of its free names.

    All names are replaced at once; bindings are renamed where they would capture a name.

    Args:
        expression: text or tree.
        values: what stands for each name; names that are not free in the expression are ignored.

    Raises:
        FormulaError: for text that does not parse.
    """
    tree = tree_of(expression)
    trees = {name: tree_of(values[name]) for name in sorted(free_names(tree) & values.keys())}
    outer = free_names(tree) - trees.keys()
    block = _Block(outer.union(*(free_names(value) for value in trees.values())))
    terms = {name: block.bind(name, block.place(value, {})) for name, value in trees.items()}
    return block.finish(block.place(tree, terms))


def inline(expression: str | Expression, definitions: Mapping[str, str | Expression]) -> Expression:
    """The expression with calls of the defined functions replaced by their formulas.

    Args:
        expression: text or tree.
        definitions: per signature, such as ``"lerp(self, end, weight)"``, the formula over its
            parameters, which may call other defined functions.  The name alone will do for a
            formula of one argument: ``{"sigmoid": "1 / (1 + exp(-self))"}``.

    Raises:
        FormulaError: for a call with a wrong number of arguments, a definition that calls itself,
            or a formula that uses a name which is not its parameter.

    >>> str(inline("silu(a + b)", {"silu": "self / (1 + exp(-self))"}))
    'self = a + b; self / (1 + exp(-self))'
    """
    tree = tree_of(expression)
    known = dict(_definition(key, value) for key, value in definitions.items())
    block = _Block(free_names(tree), known)
    return block.finish(block.place(tree, {}))


class _Definition(NamedTuple):
    parameters: tuple[str, ...]
    formula: Expression


def _definition(signature: str, formula: str | Expression) -> tuple[str, _Definition]:
    tree = tree_of(formula)
    free = free_names(tree)
    match tree_of(signature):
        case Name(name) if len(free) == 1:
            return name, _Definition(tuple(free), tree)
        case Name(name):
            reason = f"{name!r} needs its parameters in order, as in {name}({_listed(free)})"
            raise FormulaError(reason, str(tree))
        case Call(name, arguments) if all(isinstance(item, Name) for item in arguments):
            parameters = tuple(item.name for item in arguments if isinstance(item, Name))
        case _:
            raise FormulaError("a signature is a name, or name(parameter, ...)", signature)
    if len(set(parameters)) < len(parameters):
        raise FormulaError("a parameter is named twice", signature)
    if not free <= set(parameters):
        missing = _listed(free - set(parameters))
        raise FormulaError(f"{missing} is not a parameter of {signature}", str(tree))
    return name, _Definition(parameters, tree)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


class _Block:
    """The bindings of a result under construction."""

    def __init__(
        self, taken: Collection[str], definitions: Mapping[str, _Definition] | None = None
    ) -> None:
        self.taken = set(taken)
        self.definitions = definitions or {}
        self.bindings: list[tuple[str, Term]] = []
        self.open: list[str] = []  # the definitions being placed, outermost first

    def finish(self, body: Term) -> Expression:
        return Let(tuple(self.bindings), body) if self.bindings else body

    def bind(self, name: str, value: Term) -> Term:
        """A term that may be repeated for free: the value itself if it is a name or a number."""
        match value:
            case Name() | Literal() | Unary("-", Literal()):
                return value
        return self.bind_always(name, value)

    def bind_always(self, name: str, value: Term) -> Name:
        fresh, count = name, 0
        while fresh in self.taken or fresh in CONSTANTS:
            count += 1
            fresh = f"{name}_{count}"
        self.taken.add(fresh)
        self.bindings.append((fresh, value))
        return Name(fresh)

    def place(self, expression: Expression, values: Mapping[str, Term]) -> Term:
        """Add an expression's bindings under fresh names; returns its body with names replaced."""
        scope = dict(values)
        for name, value in bindings_of(expression):
            scope[name] = self.bind_always(name, self.replace(value, scope))
        return self.replace(body_of(expression), scope)

    def replace(self, term: Term, scope: Mapping[str, Term]) -> Term:
        match term:
            case Name(name):
                return scope.get(name, term)
            case Call(function, arguments) if function in self.definitions:
                return self.expand(term, [self.replace(item, scope) for item in arguments])
        return map_children(term, lambda child: self.part(child, scope))

    def part(self, term: Term, scope: Mapping[str, Term]) -> Term:
        """As :meth:`replace`, for an operand: what a call gives is bound, not nested in here."""
        value = self.replace(term, scope)
        if isinstance(term, Call) and term.function in self.definitions:
            return self.bind(term.function, value)
        return value

    def expand(self, call: Call, arguments: list[Term]) -> Term:
        parameters, formula = self.definitions[call.function]
        if len(arguments) != len(parameters):
            reason = f"{call.function} takes {len(parameters)} argument(s), got {len(arguments)}"
            raise FormulaError(reason, str(call), 0)
        if call.function in self.open:
            path = " -> ".join([*self.open, call.function])
            raise FormulaError(f"a formula calls itself: {path}", str(formula))
        self.open.append(call.function)
        needed = free_names(formula)
        scope = {
            name: self.bind(name, value)
            for name, value in zip(parameters, arguments, strict=True)
            if name in needed
        }
        result = self.place(formula, scope)
        self.open.pop()
        return result
