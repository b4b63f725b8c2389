"""Statements under construction: a kernel's body, or that of a function it calls.

Values are texts of a register type; a complex value is two of them.  Index arithmetic is plain
text: ``+ - * / %`` on integers of one type means the same in every target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from flambeau.codegen.dialects.base import (
    FLOATS,
    STORAGE,
    Dialect,
    Index,
    Parameter,
    Register,
    register_of,
)
from flambeau.dtypes import dtype

_SIMPLE: Final = re.compile(r"\w+")


class Value(NamedTuple):
    """A number under computation: one text, or the texts of a real and an imaginary part."""

    register: Register
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        """Of a real value."""
        (text,) = self.parts
        return text

    @property
    def is_complex(self) -> bool:
        """Whether there are two parts."""
        return len(self.parts) == 2


def real(register: Register, text: str) -> Value:
    """A value that is not complex."""
    return Value(register, (text,))


class Block:
    """Statements, with the functions that they call; the same object writes nested ones."""

    def __init__(self, dialect: Dialect, functions: dict[str, str] | None = None) -> None:
        self.dialect = dialect
        self.functions: dict[str, str] = {} if functions is None else functions
        """Definitions by name, each after those that it needs."""
        self.lines: list[str] = []
        self.depth = 0
        self.used: dict[str, int] = {}

    # ---- lines -------------------------------------------------------------------------------
    def line(self, text: str) -> None:
        """Add one statement."""
        self.lines.append("  " * self.depth + text)

    def fresh(self, hint: str) -> str:
        """A name that was not used before; it cannot be a word of any target language."""
        count = self.used[hint] = self.used.get(hint, 0) + 1
        return f"{hint}_{count}" if count > 1 else f"{hint}_"

    @contextmanager
    def braces(self, head: str) -> Iterator[None]:
        """What stands under ``head {``."""
        self.line(head)
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")

    # ---- values ------------------------------------------------------------------------------
    def let(self, value: Value, hint: str = "t") -> Value:
        """The value under a name, computed once; names stay as they are."""
        parts = []
        for i, part in enumerate(value.parts):
            if _SIMPLE.fullmatch(part):
                parts.append(part)
                continue
            name = self.fresh(hint if not value.is_complex else f"{hint}_{'ri'[i]}")
            self.line(self.dialect.declare(value.register, name, part, False))
            parts.append(name)
        return Value(value.register, tuple(parts))

    def variable(self, value: Value, hint: str = "v") -> Value:
        """A variable with its first value."""
        names = []
        for i, part in enumerate(value.parts):
            name = self.fresh(hint if not value.is_complex else f"{hint}_{'ri'[i]}")
            self.line(self.dialect.declare(value.register, name, part, True))
            names.append(name)
        return Value(value.register, tuple(names))

    def assign(self, variable: Value, value: Value) -> None:
        """Give a variable a new value."""
        if len(value.parts) > 1:  # the parts may depend on each other's old values
            value = self.let(value)
        for name, part in zip(variable.parts, value.parts, strict=True):
            self.line(f"{name} = {part};")

    def literal(self, value: bool | float, register: Register) -> Value:
        """A constant."""
        return real(register, self.dialect.literal(value, register))

    def cast(self, value: Value, register: Register) -> Value:
        """A conversion of a real value, or of both parts."""
        return Value(register, tuple(
            self.dialect.cast(part, value.register, register) for part in value.parts))

    def integer(self, text: str, register: Register, hint: str = "i") -> str:
        """An index under a name."""
        return self.let(real(register, text), hint).text

    def rounded_to_odd(self, value: Value) -> Value:
        """An f64 as an f32 that rounds to narrower formats as the f64 itself would.

        An inexact value is cut towards 0 and its last bit set (S. Boldo, G. Melquiond, "Emulation
        of a FMA and correctly rounded sums", 2008): then it is never a tie of a narrower format.
        """
        d, x = self.dialect, self.let(value).text
        near = self.let(real("f32", d.cast(x, "f64", "f32")), "near").text
        back = self.let(real("f64", d.cast(near, "f32", "f64")), "back").text
        beyond = d.compare(
            ">", d.basic("abs", [back], "f64"), d.basic("abs", [x], "f64"), "f64")
        cut = d.binary("-", d.basic("as_bits", [near], "f32"), d.cast(beyond, "bool", "i32"), "i32")
        odd = self.let(real("i32", d.binary("|", cut, d.literal(1, "i32"), "i32")), "odd").text
        return self.let(real("f32", d.select(
            d.compare("==", back, x, "f64"), near, d.basic("from_bits", [odd], "i32"), "f32")))

    # ---- control -----------------------------------------------------------------------------
    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Statements that run if a condition holds."""
        with self.braces(f"if ({condition}) {{"):
            yield

    @contextmanager
    def loop(
        self, register: Register, start: str, stop: str, step: str = "1", hint: str = "i"
    ) -> Iterator[str]:
        """A counting loop; gives its variable."""
        name = self.fresh(hint)
        with self.braces(self.dialect.loop(register, name, start, stop, step)):
            yield name

    @contextmanager
    def while_(self, condition: str) -> Iterator[None]:
        """A loop that runs as long as a condition holds."""
        with self.braces(self.dialect.while_(condition)):
            yield

    def barrier(self) -> None:
        """Wait for the group."""
        self.line(self.dialect.barrier())


@dataclass(frozen=True, slots=True)
class Buffer:
    """A buffer among a kernel's arguments: elements of a dtype."""

    parameter: Parameter
    dtype: dtype

    @property
    def register(self) -> Register:
        """What an element, or its parts, are computed in."""
        return register_of(self.parameter.type)


@dataclass(frozen=True, slots=True)
class KernelSource:
    """A kernel as text, and how it is called."""

    name: str
    text: str
    parameters: tuple[Parameter, ...]
    group_size: int
    """Work items per group; 1 where a dialect has no groups."""


class Kernel(Block):
    """A kernel under construction."""

    def __init__(self, dialect: Dialect, name: str, group_size: int = 1) -> None:
        super().__init__(dialect)
        self.name, self.group_size = name, group_size
        self.parameters: list[Parameter] = []
        self.shared_lines: list[str] = []

    def buffer(self, name: str, what: dtype, is_written: bool = False) -> Buffer:
        """A buffer of elements of a dtype."""
        parameter = Parameter(name, STORAGE[what.name], True, is_written)
        self.parameters.append(parameter)
        return Buffer(parameter, what)

    def scalar(self, name: str, type_: Register) -> str:
        """A number; gives its name."""
        self.parameters.append(Parameter(name, type_, False))
        return name

    def strides(self, name: str, marks: str, index: Index) -> list[str]:
        """Strides of a tensor: those that are known, and the names of those marked "?"."""
        return [self.scalar(f"step_{name}_{d}", index) if mark == "?" else mark
                for d, mark in enumerate(marks)]

    def load(self, buffer: Buffer, index: str) -> Value:
        """An element under a name."""
        load, p = self.dialect.load, buffer.parameter
        parts: tuple[str, ...]
        if buffer.dtype.is_complex:
            parts = (load(p, f"2 * ({index})"), load(p, f"2 * ({index}) + 1"))
        else:
            parts = (load(p, index),)
        return self.let(Value(buffer.register, parts), "x")

    def store(self, buffer: Buffer, index: str, value: Value) -> None:
        """Write an element; a value of another register type is converted."""
        if value.register == "f64" and buffer.parameter.type in ("f16", "bf16"):
            value = self.rounded_to_odd(value)
        value = self.cast(value, buffer.register)
        if buffer.dtype.is_complex:
            value = self.let(value)
            imaginary = value.parts[1] if value.is_complex else (
                self.dialect.literal(0.0, buffer.register))
            for at, part in ((f"2 * ({index})", value.parts[0]),
                             (f"2 * ({index}) + 1", imaginary)):
                for line in self.dialect.store(buffer.parameter, at, part):
                    self.line(line)
            return
        for line in self.dialect.store(buffer.parameter, index, value.parts[0]):
            self.line(line)

    def atomic_add(self, buffer: Buffer, index: str, value: Value) -> None:
        """Add to an element that other work items add to as well; the parts of a complex one are
        added one after the other."""
        value = self.cast(value, buffer.register)
        places = [f"2 * ({index})", f"2 * ({index}) + 1"] if value.is_complex else [index]
        for place, part in zip(places, value.parts, strict=True):
            for line in self.dialect.atomic_add(buffer.parameter, place, part):
                self.line(line)

    def shared(self, register: Register, count: int, hint: str = "shared") -> str:
        """An array of the group."""
        name = self.fresh(hint)
        self.shared_lines.append(self.dialect.shared(register, name, count))
        return name

    def position(
        self, what: Literal["item", "local", "group", "groups"], index: Index
    ) -> str:
        """A number of this work item, under a name; see :meth:`Dialect.position`."""
        return self.integer(self.dialect.position(what, index), index, what)

    @contextmanager
    def item(self, count: str, index: Index) -> Iterator[str]:
        """What a work item does whose number, which is given, is below the count."""
        i = self.position("item", index)
        if self.dialect.has_groups:
            with self.when(f"{i} < {count}"):
                yield i
        else:
            yield i

    def finish(self) -> KernelSource:
        """The text."""
        text = self.dialect.kernel(
            self.name, self.parameters, list(self.functions.values()),
            [*self.shared_lines, *self.lines], self.group_size)
        return KernelSource(self.name, text, tuple(self.parameters), self.group_size)


def is_float(register: Register) -> bool:
    """Whether values of a register type are floating."""
    return register in FLOATS

