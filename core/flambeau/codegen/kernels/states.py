"""What a reduction keeps of the elements that it has seen: a few numbers per result.

A state is identified by what its texts depend on, so that it can be part of a kernel's key.
"""

# ruff: noqa: D102  (methods are documented in the base class)
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from flambeau.codegen.block import Block, Value, is_float, real
from flambeau.codegen.category import Category
from flambeau.codegen.dialects.base import FLOATS, SIZES, Index, Register
from flambeau.codegen.expression import Call, Compare, Select, walk
from flambeau.codegen.inference import tree_of
from flambeau.codegen.reduction import ArgReduction, Reduction
from flambeau.codegen.scalar import UNSIGNED, Scalars

Parts: TypeAlias = tuple[str, ...]
"""The texts of a state's numbers."""


class State(ABC):
    """How partial results are started, grown, joined and finished."""

    numbers: tuple[str, ...] = ()
    """Names of numbers that the results depend on, given to the kernel as ``number_NAME``."""
    floating: Register
    """What floating values, and these numbers, are computed in."""

    @property
    @abstractmethod
    def registers(self) -> tuple[Register, ...]:
        """Of the numbers that it keeps."""

    @property
    def rounds(self) -> bool:
        """Whether joining rounds, so that partial results of equal size should be joined."""
        return any(is_float(register) for register in self.registers)

    @property
    def selects(self) -> bool:
        """Whether joining is a choice by a condition."""
        return False

    @property
    def is_ordered(self) -> bool:
        """Whether the positions of elements matter, in row-major order."""
        return False

    @abstractmethod
    def identity(self, block: Block) -> Parts:
        """Of no elements."""

    @abstractmethod
    def absorb(self, block: Block, acc: Parts, x: Value, at: str) -> Parts:
        """With one more element, which is the ``at``-th."""

    @abstractmethod
    def combine(self, block: Block, acc: Parts, x: Parts) -> Parts:
        """Of the elements of both."""

    @abstractmethod
    def results(self, block: Block, acc: Parts, count: Value) -> list[Value]:
        """What comes of a state of ``count`` elements."""


def end_of(register: Register, is_lowest: bool) -> bool | float:
    """The least or the greatest value of a register type."""
    if register in FLOATS:
        return float("-inf") if is_lowest else float("inf")
    if register in UNSIGNED:
        return 0 if is_lowest else 1 if register == "bool" else 2 ** (8 * SIZES[register]) - 1
    half: int = 2 ** (8 * SIZES[register] - 1)
    return -half if is_lowest else half - 1


@dataclass(frozen=True, slots=True)
class _Typed:
    """Attributes: what floating values and integers are computed in."""

    floating: Register
    integer: Register

    def scalars(self, block: Block, names: Mapping[str, Value]) -> Scalars:
        """Formulas over some values."""
        return Scalars(block, self.floating, self.integer, names)

    def register(self, category: Category) -> Register:
        """The register type of a category."""
        if category is Category.BOOL:
            return "bool"
        return self.integer if category is Category.INTEGER else self.floating

    def ends(self, block: Block, register: Register) -> dict[str, Value]:
        """The names that an identity may use."""
        return {name: block.literal(end_of(register, name == "lowest"), register)
                for name in ("lowest", "highest")}


@dataclass(frozen=True, slots=True)
class Formula(_Typed, State):
    """The state of a :class:`Reduction`: one value, two numbers if it is complex.

    Attributes:
        reduction: its formulas.
        category: of the state.
        numbers: attributes that the formulas use by name.
    """

    reduction: Reduction
    category: Category
    numbers: tuple[str, ...] = ()

    @property
    def registers(self) -> tuple[Register, ...]:
        register = self.register(self.category)
        return (register, register) if self.category is Category.COMPLEX else (register,)

    @property
    def selects(self) -> bool:
        return any(
            isinstance(node, (Select, Compare)) or (
                isinstance(node, Call) and node.function in ("maximum", "minimum"))
            for node in walk(tree_of(self.reduction.combine)))

    def value(self, parts: Parts) -> Value:
        """The numbers as a value."""
        return Value(self.registers[0], parts)

    def evaluate(self, block: Block, formula: str, **values: Value) -> Value:
        """One of the formulas; complex values are numbered parts, so they get names."""
        names = {name: real(self.floating, f"number_{name}") for name in self.numbers}
        return self.scalars(block, {**names, **values}).evaluate(formula)

    def parts(self, block: Block, value: Value) -> Parts:
        """The numbers of a value of the state's category or a lower one."""
        return self.scalars(block, {}).convert(value, self.category).parts

    def identity(self, block: Block) -> Parts:
        ends = self.ends(block, self.registers[0])
        return self.parts(block, self.evaluate(block, self.reduction.init, **ends))

    def absorb(self, block: Block, acc: Parts, x: Value, at: str) -> Parts:
        value = block.let(self.evaluate(block, self.reduction.map, x=x))
        return self.combine(block, acc, block.let(
            self.value(self.parts(block, value))).parts)

    def combine(self, block: Block, acc: Parts, x: Parts) -> Parts:
        return self.parts(block, self.evaluate(
            block, self.reduction.combine, acc=self.value(acc), x=self.value(x)))

    def results(self, block: Block, acc: Parts, count: Value) -> list[Value]:
        return [block.let(self.evaluate(
            block, self.reduction.final, acc=self.value(acc), n=count))]


@dataclass(frozen=True, slots=True)
class Argument(_Typed, State):
    """The state of an :class:`ArgReduction`: a value and its place.

    Attributes:
        reduction: its formulas.
        category: of the value.
        index: type of places.
        gives_value: whether the value is a result too, in front of the place.
        takes_last: whether of equal values the last one counts, not the first.
    """

    reduction: ArgReduction
    category: Category
    index: Index
    gives_value: bool = False
    takes_last: bool = False

    @property
    def registers(self) -> tuple[Register, ...]:
        return (self.register(self.category), self.index)

    @property
    def rounds(self) -> bool:
        return False

    @property
    def selects(self) -> bool:
        return True

    @property
    def is_ordered(self) -> bool:
        return True

    def identity(self, block: Block) -> Parts:
        register = self.registers[0]
        init = self.scalars(block, self.ends(block, register)).evaluate(self.reduction.init)
        return (block.cast(init, register).text,
                block.literal(-1 if self.takes_last else end_of(self.index, False),
                              self.index).text)

    def absorb(self, block: Block, acc: Parts, x: Value, at: str) -> Parts:
        value = self.scalars(block, {"x": x}).evaluate(self.reduction.map)
        mapped = block.let(block.cast(value, self.registers[0]))
        return self.combine(block, acc, (mapped.text, at))

    def combine(self, block: Block, acc: Parts, x: Parts) -> Parts:
        register, d = self.registers[0], block.dialect
        old, new = (block.let(real(register, text)) for text in (acc[0], x[0]))
        is_better = self.takes(block, old, new)
        is_equal = d.unary("!", self.takes(block, new, old), "bool")
        is_first = d.compare(">" if self.takes_last else "<", x[1], acc[1], self.index)
        replaces = block.let(real("bool", d.binary(
            "|", is_better, d.binary("&", is_equal, is_first, "bool"), "bool"))).text
        return (d.select(replaces, new.text, old.text, register),
                d.select(replaces, x[1], acc[1], self.index))

    def takes(self, block: Block, acc: Value, x: Value) -> str:
        """Whether x is strictly preferred."""
        return self.scalars(block, {"acc": acc, "x": x}).evaluate(self.reduction.take).text

    def results(self, block: Block, acc: Parts, count: Value) -> list[Value]:
        place = real(self.index, acc[1])
        return [real(self.registers[0], acc[0]), place] if self.gives_value else [place]


class _Formulas(State):
    """A state of several floating numbers, each with a formula."""

    floating: Register
    names: ClassVar[tuple[str, ...]]
    grown: ClassVar[str]
    """Bindings of the new ``NAME_c`` from ``NAME_a`` and the element ``x``."""
    joined: ClassVar[str]
    """Bindings of ``NAME_c`` from ``NAME_a`` and ``NAME_b``."""

    @property
    def registers(self) -> tuple[Register, ...]:
        return (self.floating,) * len(self.names)

    def named(self, parts: Parts, suffix: str) -> dict[str, Value]:
        """The numbers by their names in the formulas."""
        return {f"{name}_{suffix}": real(self.floating, part)
                for name, part in zip(self.names, parts, strict=True)}

    def evaluate(self, block: Block, formula: str, names: dict[str, Value]) -> Parts:
        """The new numbers."""
        scalars = Scalars(block, self.floating, "i32", names)
        scalars.evaluate(f"{formula} 0")
        return tuple(scalars.names[f"{name}_c"].text for name in self.names)

    def absorb(self, block: Block, acc: Parts, x: Value, at: str) -> Parts:
        x = block.let(block.cast(x, self.floating))
        return self.evaluate(block, self.grown, {**self.named(acc, "a"), "x": x})

    def combine(self, block: Block, acc: Parts, x: Parts) -> Parts:
        return self.evaluate(
            block, self.joined, {**self.named(acc, "a"), **self.named(x, "b")})


@dataclass(frozen=True, slots=True)
class Moments(_Formulas):
    """Count, mean and sum of squared deviations (Welford; Chan, Golub and LeVeque 1979).

    The results are the variance, the deviations divided by ``number_divisor``, and the mean.
    """

    floating: Register
    numbers: tuple[str, ...] = ("divisor",)
    names: ClassVar[tuple[str, ...]] = ("n", "mean", "squares")
    grown: ClassVar[str] = (
        "n_c = n_a + 1.0; d = x - mean_a; mean_c = mean_a + d / n_c;"
        "squares_c = squares_a + d * (x - mean_c);")
    joined: ClassVar[str] = (
        "n_c = n_a + n_b; d = mean_b - mean_a; w = n_b == 0 ? 0.0 : n_b / n_c;"
        "mean_c = mean_a + d * w; squares_c = squares_a + squares_b + d * d * (n_a * w);")

    def identity(self, block: Block) -> Parts:
        return (block.literal(0.0, self.floating).text,) * 3

    def results(self, block: Block, acc: Parts, count: Value) -> list[Value]:
        variance = block.dialect.binary("/", acc[2], "number_divisor", self.floating)
        return [real(self.floating, variance), real(self.floating, acc[1])]


@dataclass(frozen=True, slots=True)
class Exponentials(_Formulas):
    """The greatest value, and the sum of exponentials of the differences to it.

    Equal values differ by 0, infinite ones too; the result is the logarithm of the sum.
    """

    floating: Register
    names: ClassVar[tuple[str, ...]] = ("top", "sum")
    grown: ClassVar[str] = (
        "d = x == top_a ? 0.0 : x - top_a; e = exp(-abs(d));"
        "top_c = d > 0 ? x : top_a; sum_c = d > 0 ? sum_a * e + 1.0 : sum_a + e;")
    joined: ClassVar[str] = (
        "d = top_b == top_a ? 0.0 : top_b - top_a; e = exp(-abs(d));"
        "top_c = d > 0 ? top_b : top_a; sum_c = d > 0 ? sum_a * e + sum_b : sum_a + sum_b * e;")

    def identity(self, block: Block) -> Parts:
        return (block.literal(float("-inf"), self.floating).text,
                block.literal(0.0, self.floating).text)

    def results(self, block: Block, acc: Parts, count: Value) -> list[Value]:
        return [block.let(Scalars(block, self.floating, "i32", self.named(acc, "a")).evaluate(
            "top_a + log(sum_a)"))]
