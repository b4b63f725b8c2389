"""Formulas as statements: every operation in one register type, by the rules of the language.

What a target computes itself is exact or correctly rounded; the rest comes from
:mod:`flambeau.codegen.mathematics`, printed once per kernel as a function of the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from flambeau.codegen.block import Block, Value, is_float, real
from flambeau.codegen.category import Category
from flambeau.codegen.dialects.base import SIZES, Register
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
from flambeau.codegen.inference import tree_of
from flambeau.codegen.mathematics import CALLABLE, complex_definition, definition

BASIC: Final = frozenset({"fma", "sqrt", "floor", "ceil", "trunc", "round", "fmod", "abs"})
"""Functions of floats that every target has."""
INTRINSICS: Final = frozenset({"as_bits", "from_bits", "to_integer", "to_floating"})
WHOLE: Final = frozenset({"floor", "ceil", "round", "trunc"})
"""Functions that leave integers as they are."""
UNSIGNED: Final = frozenset({"bool", "u8", "u16", "u32", "u64"})

COMPOSED: Final[dict[str, str]] = {
    "sign": "x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0",
    "isnan": "x != x",
    "isinf": "abs(x) == inf",
    "maximum": "a < b || b != b ? b : a",
    "minimum": "a > b || b != b ? b : a",
    "remainder": "r = fmod(a, b); r != 0 && (b < 0) != (r < 0) ? r + b : r",
    "trunc_divide": "trunc(a / b)",
    "floor_divide": (
        "m = fmod(a, b); off = m != 0 && (b < 0) != (m < 0); d = (a - m) / b - (off ? 1.0 : 0.0);"
        "f = floor(d); g = d - f > 0.5 ? f + 1 : f; b == 0 ? a / b : d == 0 ? a / b * 0 : g"),
}
"""Functions of floats, of the parameter ``x``, or ``a`` and ``b``."""
COMPOSED_INTEGER: Final[dict[str, str]] = {
    "abs": "x < 0 ? -x : x",
    "sign": "x > 0 ? 1 : x < 0 ? -1 : 0",
    "isnan": "false",
    "isinf": "false",
    "maximum": "a < b ? b : a",
    "minimum": "a > b ? b : a",
    "fma": "a * b + c",
    "floor_divide": "q = trunc_divide(a, b); q - (fmod(a, b) != 0 && (a < 0) != (b < 0) ? 1 : 0)",
    "remainder": "r = fmod(a, b); r != 0 && (r < 0) != (b < 0) ? r + b : r",
}
"""The same of integers and bools."""
PARAMETERS: Final = {1: ("x",), 2: ("a", "b"), 3: ("a", "b", "c")}


def category_of(value: Value) -> Category:
    """The category of a value."""
    if value.is_complex:
        return Category.COMPLEX
    if is_float(value.register):
        return Category.FLOATING
    return Category.BOOL if value.register == "bool" else Category.INTEGER


class Scalars:
    """Formulas over some values, written into a block.

    Args:
        floating: the register type of floating values, and of the parts of complex ones.
        integer: that of integers.
    """

    def __init__(
        self, block: Block, floating: Register, integer: Register, names: Mapping[str, Value]
    ) -> None:
        self.block, self.floating, self.integer = block, floating, integer
        self.names = dict(names)

    def evaluate(self, expression: str | Expression) -> Value:
        """Write the bindings of a formula; gives its value."""
        tree = tree_of(expression)
        for name, term in bindings_of(tree):
            self.names[name] = self.block.let(self.term(term), name)
        return self.term(body_of(tree))

    def term(self, node: Term) -> Value:
        """The value of a term."""
        match node:
            case Literal():
                return self.literal(node, node.category)
            case Name(name):
                return self.names[name]
            case Unary(operator, operand):
                return self.unary(operator, self.term(operand))
            case Binary(operator, left, right):
                return self.binary(operator, left, right)
            case Compare(operator, left, right):
                return self.compare(operator, *self.same([left, right]))
            case Logical(operator, left, right):
                sign = "&" if operator == "&&" else "|"
                return real("bool", self.block.dialect.binary(
                    sign, self.truth(left), self.truth(right), "bool"))
            case Select(condition, when_true, when_false):
                return self.select(
                    self.truth(condition), *self.same([when_true, when_false], Category.BOOL))
            case Call(function, arguments):
                return self.call(function, arguments)

    # ---- conversions -------------------------------------------------------------------------
    def literal(self, node: Literal, category: Category) -> Value:
        """A constant as a value of a category."""
        if category is Category.COMPLEX:
            return self.convert(self.literal(node, Category.FLOATING), category)
        register = self.register(category)
        value = node.value
        if category is Category.INTEGER:
            bits = 8 * SIZES[register]
            value = int(value) % 2**bits
            if register not in UNSIGNED and value >= 2 ** (bits - 1):
                value -= 2**bits
        return self.block.literal(value, register)

    def register(self, category: Category) -> Register:
        """The register type of a category."""
        if category is Category.BOOL:
            return "bool"
        return self.integer if category is Category.INTEGER else self.floating

    def convert(self, value: Value, category: Category) -> Value:
        """A value in the type of its own or a higher category."""
        value = self.block.cast(value, self.register(category))
        if category is Category.COMPLEX and not value.is_complex:
            return Value(value.register, (
                *value.parts, self.block.dialect.literal(0.0, value.register)))
        return value

    def same(self, terms: Sequence[Term], least: Category = Category.BOOL) -> list[Value]:
        """Operands, converted to the highest category among them."""
        values = [self.term(term) for term in terms]
        highest = max([least, *map(category_of, values)])
        return [
            self.literal(term, highest) if isinstance(term, Literal)
            and highest >= term.category else self.convert(value, highest)
            for term, value in zip(terms, values, strict=True)
        ]

    def truth(self, term: Term) -> str:
        """Whether a value is not zero."""
        value = self.term(term)
        tests = [self.block.dialect.cast(part, value.register, "bool") for part in value.parts]
        if len(tests) == 1:
            return tests[0]
        return self.block.dialect.binary("|", tests[0], tests[1], "bool")

    # ---- operators ---------------------------------------------------------------------------
    def unary(self, operator: str, value: Value) -> Value:
        """``-``, ``~`` or ``!``."""
        if operator == "!":
            tests = [self.block.dialect.cast(p, value.register, "bool") for p in value.parts]
            text = tests[0] if len(tests) == 1 else (
                self.block.dialect.binary("|", tests[0], tests[1], "bool"))
            return real("bool", self.block.dialect.unary("!", text, "bool"))
        if operator == "~" and value.register == "bool":
            return real("bool", self.block.dialect.unary("!", value.text, "bool"))
        if operator == "-":
            value = self.convert(value, max(category_of(value), Category.INTEGER))
        return Value(value.register, tuple(
            self.block.dialect.unary(operator, part, value.register) for part in value.parts))

    def binary(self, operator: str, left: Term, right: Term) -> Value:
        """An arithmetic or bit operation, its operands converted to one type."""
        least = Category.INTEGER if operator in ("+", "-", "*", "<<", ">>") else Category.BOOL
        if operator in ("<<", ">>"):
            return self.shift(operator, left, right)
        a, b = self.same([left, right], least)
        return self.arithmetic(operator, a, b)

    def arithmetic(self, operator: str, a: Value, b: Value) -> Value:
        """An operation on two values of one type."""
        write, register = self.block.dialect.binary, a.register
        if not a.is_complex:
            return real(register, write(operator, a.text, b.text, register))
        if operator in ("+", "-"):
            return Value(register, tuple(
                write(operator, x, y, register) for x, y in zip(a.parts, b.parts, strict=True)))
        a, b = self.block.let(a), self.block.let(b)
        if operator == "/":
            return self.complex_function("divide", [a, b])
        (ar, ai), (br, bi) = a.parts, b.parts

        def product(x: str, y: str) -> str:
            return write("*", x, y, register)

        return Value(register, (
            write("-", product(ar, br), product(ai, bi), register),
            write("+", product(ar, bi), product(ai, br), register)))

    def shift(self, operator: str, left: Term, right: Term) -> Value:
        """By a count outside the width: 0, or the sign."""
        write = self.block.dialect
        a, b = self.same([left, right], Category.INTEGER)
        bits = 8 * SIZES[a.register]
        if isinstance(right, Literal) and 0 <= right.value < bits:
            return real(a.register, write.binary(operator, a.text, b.text, a.register))
        a, b = self.block.let(a), self.block.let(b)
        number = [write.literal(n, a.register) for n in (0, bits, bits - 1)]
        low = write.compare(">=", b.text, number[0], a.register)
        high = write.compare("<", b.text, number[1], a.register)
        inside = self.block.let(real("bool", write.binary("&", low, high, "bool"))).text
        count = write.select(inside, b.text, number[0], a.register)
        shifted = write.binary(operator, a.text, count, a.register)
        outside = number[0] if operator == "<<" or a.register in UNSIGNED else (
            write.binary(">>", a.text, number[2], a.register))
        return real(a.register, write.select(inside, shifted, outside, a.register))

    def compare(self, operator: str, a: Value, b: Value) -> Value:
        """A comparison of two values of one type."""
        tests = [
            self.block.dialect.compare(operator, x, y, a.register)
            for x, y in zip(a.parts, b.parts, strict=True)
        ]
        if len(tests) == 1:
            return real("bool", tests[0])
        sign = "&" if operator == "==" else "|"
        return real("bool", self.block.dialect.binary(sign, tests[0], tests[1], "bool"))

    def select(self, condition: str, a: Value, b: Value) -> Value:
        """One of two values of one type."""
        if a.is_complex:
            condition = self.block.let(real("bool", condition)).text
        return Value(a.register, tuple(
            self.block.dialect.select(condition, x, y, a.register)
            for x, y in zip(a.parts, b.parts, strict=True)))

    # ---- functions ---------------------------------------------------------------------------
    def call(self, function: str, arguments: Sequence[Term]) -> Value:
        """A function of terms, converted to one type."""
        if function in INTRINSICS:
            return self.intrinsic(function, self.term(arguments[0]))
        values = self.same(arguments, CALLABLE[function].rule(Category.BOOL))
        return self.apply(function, [self.block.let(v, "a") for v in values])

    def apply(self, function: str, values: list[Value]) -> Value:
        """A function of values of one type, which stand under names."""
        highest = category_of(values[0])
        if highest is Category.COMPLEX:
            return self.of_complex(function, values)
        if function in ("real", "conj"):
            return values[0]
        if function == "imag":
            return self.convert(self.block.literal(False, "bool"), highest)
        if highest is Category.FLOATING:
            return self.of_floats(function, values)
        if function in WHOLE or (highest is Category.BOOL and function in ("sign", "abs")):
            return values[0]
        return self.of_integers(function, values)

    def formula(self, text: str, values: Sequence[Value]) -> Value:
        """A formula over the usual parameter names."""
        names = dict(zip(PARAMETERS[len(values)], values, strict=True))
        inner = Scalars(self.block, self.floating, self.integer, names)
        return self.block.let(inner.evaluate(text))

    def of_floats(self, function: str, values: Sequence[Value]) -> Value:
        """A function of floats: the target's own, a formula, or one of the mathematics."""
        register = values[0].register
        texts = [v.text for v in values]
        if function in BASIC:
            return real(register, self.block.dialect.basic(function, texts, register))
        if function in COMPOSED:
            return self.formula(COMPOSED[function], values)
        name = self.defined(function)
        return real(register, f"{name}({', '.join(texts)})")

    def of_integers(self, function: str, values: Sequence[Value]) -> Value:
        """A function of integers or bools."""
        if function in COMPOSED_INTEGER:
            return self.formula(COMPOSED_INTEGER[function], values)
        if function in ("trunc_divide", "fmod"):
            return self.integer_quotient(function, *values)
        if function == "pow":
            return self.integer_power(*values)
        raise NotImplementedError(f"{function} of integers")

    def integer_quotient(self, function: str, a: Value, b: Value) -> Value:
        """Rounded towards 0; 0 for a divisor of 0, and -1 divides without overflow."""
        d, register = self.block.dialect, a.register
        zero, one = d.literal(0, register), d.literal(1, register)
        is_zero = self.block.let(real("bool", d.compare("==", b.text, zero, register))).text
        special = is_zero
        if register not in UNSIGNED:
            is_minus = self.block.let(
                real("bool", d.compare("==", b.text, d.literal(-1, register), register))).text
            special = d.binary("|", is_zero, is_minus, "bool")
        safe = self.block.let(real(register, d.select(special, one, b.text, register))).text
        result = d.binary("/" if function == "trunc_divide" else "%", a.text, safe, register)
        if function == "trunc_divide" and register not in UNSIGNED:
            result = d.select(is_minus, d.unary("-", a.text, register), result, register)
        return real(register, d.select(is_zero, zero, result, register))

    def integer_power(self, a: Value, b: Value) -> Value:
        """By squaring; negative exponents give the reciprocal rounded towards 0."""
        d, block, register = self.block.dialect, self.block, a.register
        zero, one = d.literal(0, register), d.literal(1, register)
        total = block.variable(real(register, one), "power")
        base, left = block.variable(a, "base"), block.variable(b, "left")
        with block.while_(d.compare(">", left.text, zero, register)):
            odd = d.cast(d.binary("&", left.text, one, register), register, "bool")
            block.assign(total, real(register, d.select(
                odd, d.binary("*", total.text, base.text, register), total.text, register)))
            block.assign(base, real(
                register, d.binary("*", base.text, base.text, register)))
            block.assign(left, real(register, d.binary(">>", left.text, one, register)))
        if register in UNSIGNED:
            return total
        return self.block.let(Scalars(block, self.floating, self.integer, {
            "a": a, "b": b, "p": total}).evaluate(
            "b >= 0 ? p : a == 1 ? 1 : a == -1 ? ((b & 1) == 0 ? 1 : -1) : 0"))

    def intrinsic(self, function: str, value: Value) -> Value:
        """A change between floats and integers of one width."""
        pairs: dict[str, Register] = {"f32": "i32", "f64": "i64", "i32": "f32", "i64": "f64"}
        text = self.block.dialect.basic(function, [value.text], value.register)
        return real(pairs[value.register], text)

    # ---- functions of the mathematics package ------------------------------------------------
    def defined(self, function: str) -> str:
        """The name of a function of floats, which is defined in front of the kernel."""
        name = f"fb_{function}_{self.floating}"
        if name not in self.block.functions:
            precision = "f32" if self.floating == "f32" else "f64"
            self.define(name, PARAMETERS[CALLABLE[function].arity],
                        definition(function, precision))
        return name

    def define(
        self, name: str, parameters: Sequence[str], formula: str | Expression
    ) -> None:
        """Print a formula of floats as a function."""
        inner = Block(self.block.dialect, self.block.functions)
        integer: Register = "i32" if self.floating == "f32" else "i64"
        names = {p: real(self.floating, f"{p}_in") for p in parameters}
        value = Scalars(inner, self.floating, integer, names).evaluate(formula)
        value = inner.cast(value, self.floating)
        inner.line(f"return {value.text};")
        self.block.functions[name] = self.block.dialect.function(
            name, [(self.floating, f"{p}_in") for p in parameters], self.floating, inner.lines)

    def of_complex(self, function: str, values: list[Value]) -> Value:
        """A function of complex numbers."""
        register, (re, im) = values[0].register, values[0].parts
        minus = self.block.dialect.unary
        match function:
            case "real":
                return real(register, re)
            case "imag":
                return real(register, im)
            case "conj":
                return Value(register, (re, minus("-", im, register)))
            case "isnan" | "isinf":
                tests = [self.of_floats(function, [real(register, p)]).text for p in (re, im)]
                return real("bool", self.block.dialect.binary("|", tests[0], tests[1], "bool"))
            case "abs":
                return real(register, self.complex_function("abs", values).parts[0])
        return self.complex_function(function, values)

    def complex_function(self, function: str, values: Sequence[Value]) -> Value:
        """A function of complex numbers, as two functions of floats (one for ``abs``)."""
        register = values[0].register
        parameters = ("re", "im", "re2", "im2")[: 2 * len(values)]
        arguments = ", ".join(part for value in values for part in value.parts)
        parts = []
        for suffix, formula in zip(("re", "im"), complex_definition(function), strict=True):
            name = f"fb_c{function}_{suffix}_{register}"
            if name not in self.block.functions:
                self.define(name, parameters, formula)
            parts.append(f"{name}({arguments})")
            if function == "abs":
                break
        return Value(register, tuple(parts))
