"""How kernels over rows are written; see :mod:`flambeau.codegen.kernels.rows`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from flambeau.codegen.block import Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index
from flambeau.codegen.expression import free_names
from flambeau.codegen.inference import tree_of
from flambeau.codegen.kernels.group import IDENTITY, combined
from flambeau.codegen.kernels.rows import (
    Flag,
    Let,
    Operand,
    Pick,
    Reduce,
    Rows,
    Step,
    Store,
    StoreRow,
)
from flambeau.codegen.scalar import Scalars

BLOCK: Final = 1024
"""Columns that are summed before the sum is added to that of the row: rounding errors grow with
the number of terms."""


class Writer(ABC):
    """A kernel over rows under construction."""

    def __init__(self, spec: Rows, dialect: Dialect) -> None:
        self.spec = spec
        self.index: Index = spec.index
        self.kernel = kernel = Kernel(dialect, f"fb_{spec.name}", spec.group_size)
        self.buffers = [kernel.buffer(*b) for b in spec.buffers]
        self.operands = {o.name: o for o in spec.operands}
        self.count = kernel.scalar("rows", self.index)
        self.starts = [kernel.scalar(f"start_{o.name}", self.index) for o in spec.operands]
        self.outer = ["", *(
            kernel.scalar(f"size_{d}", self.index) for d in range(1, spec.outer_ndim))
        ][:spec.outer_ndim]
        self.last_rows = kernel.scalar("last_rows", self.index) if spec.tile > 1 else ""
        self.inner = [kernel.scalar(f"columns_{d}", self.index) for d in range(spec.inner_ndim)]
        self.steps = [self.steps_of(o) for o in spec.operands]
        self.numbers = {n: real(r, kernel.scalar(f"number_{n}", r)) for n, r in spec.numbers}
        self.bases: dict[str, str] = {}
        self.row: dict[str, Value] = {}
        """Values of the row by name."""

    def steps_of(self, o: Operand) -> tuple[list[str], list[str]]:
        """The strides along the rows' and the columns' dimensions, as texts."""
        def listed(marks: str, word: str) -> list[str]:
            return [
                self.kernel.scalar(f"{word}_{o.name}_{d}", self.index) if mark == "?" else mark
                for d, mark in enumerate(marks)]

        return listed(o.outer, "step"), listed(o.inner, "along")

    @abstractmethod
    def write(self) -> KernelSource:
        """The whole kernel."""

    # ---- values ------------------------------------------------------------------------------
    def scope(self) -> dict[str, Value]:
        """Names that formulas of the row know."""
        return {**self.numbers, **self.row}

    def evaluate(self, formula: str, names: Mapping[str, Value]) -> Value:
        """A formula of the language, under a name."""
        spec = self.spec
        value = Scalars(self.kernel, spec.floating, spec.integer, names).evaluate(formula)
        return self.kernel.let(value, "y")

    def element(
        self, formula: str, place: Callable[[Operand], str], column: str,
        loaded: dict[str, Value],
    ) -> Value:
        """A formula of one column; ``loaded`` keeps what was read of it."""
        names = self.scope()
        for name in sorted(free_names(tree_of(formula))):
            operand = self.operands.get(name)
            if operand is not None and name not in names and name not in loaded:
                loaded[name] = self.kernel.load(self.buffers[operand.buffer], place(operand))
        if column:
            names["i"] = self.kernel.cast(real(self.index, column), self.spec.integer)
        return self.evaluate(formula, {**names, **loaded})

    def load_rows(self) -> None:
        """Read the operands that have one element per row, if a step uses them."""
        used = {n for s in self.spec.steps for f in _formulas(s) for n in free_names(tree_of(f))}
        for o in self.spec.operands:
            if o.name in used and not o.is_along:
                self.keep(o.name, lambda o=o: self.kernel.load(  # type: ignore[misc]
                    self.buffers[o.buffer], self.base(o)))

    @abstractmethod
    def keep(self, name: str, make: Callable[[], Value]) -> None:
        """Make a value of the row and give it a name."""

    @abstractmethod
    def base(self, o: Operand) -> str:
        """Where an operand's row begins."""

    # ---- steps -------------------------------------------------------------------------------
    def write_steps(self) -> None:
        """All steps in order."""
        self.load_rows()
        for step in self.spec.steps:
            match step:
                case Let(name, formula):
                    self.keep(name, lambda f=formula: self.evaluate(  # type: ignore[misc]
                        f, self.scope()))
                case Pick():
                    self.keep(step.name, lambda p=step: self.picked(p))  # type: ignore[misc]
                case Reduce(parts):
                    self.reduce(parts)
                case Store(parts):
                    self.store(parts)
                case StoreRow():
                    self.store_row(step)
                case Flag():
                    self.flag(step)

    def picked(self, pick: Pick) -> Value:
        """The element of a column."""
        operand = self.operands[pick.operand]
        column = self.kernel.cast(self.scope()[pick.column], self.index).text
        return self.kernel.load(
            self.buffers[operand.buffer], self.place(operand, [column]))

    def place(self, o: Operand, columns: Sequence[str]) -> str:
        """Where an operand has the element at some indices of the columns' dimensions."""
        _, along = self.steps[self.spec.operands.index(o)]
        terms = [self.base(o)]
        for at, step in zip(columns, along, strict=True):
            if step == "1":
                terms.append(at)
            elif step != "0":
                terms.append(f"({at}) * {step}")
        return " + ".join(terms)

    @abstractmethod
    def reduce(self, parts: Sequence[tuple[str, str, str]]) -> None:
        """Write a :class:`Reduce`."""

    @abstractmethod
    def store(self, parts: Sequence[tuple[str, str]]) -> None:
        """Write a :class:`Store`."""

    def store_row(self, step: StoreRow) -> None:
        """Write a :class:`StoreRow`."""
        o = self.operands[step.operand]
        value = self.evaluate(step.formula, self.scope())
        self.kernel.store(self.buffers[o.buffer], self.base(o), value)

    def flag(self, step: Flag) -> None:
        """Write a :class:`Flag`."""
        names = self.scope()
        flags = self.buffers[self.operands[step.operand].buffer]
        with self.kernel.when(self.evaluate(step.condition, names).text):
            self.kernel.store(flags, "0", names[step.code])
            self.kernel.store(flags, "1", names[step.value])

    def store_elements(
        self, parts: Sequence[tuple[str, str]], columns: Sequence[str], column: str
    ) -> None:
        """Write the results' elements of one column: all are computed before one is written."""
        loaded: dict[str, Value] = {}
        values = [self.element(f, lambda o: self.place(o, columns), column, loaded)
                  for _, f in parts]
        for (name, _), value in zip(parts, values, strict=True):
            o = self.operands[name]
            self.kernel.store(self.buffers[o.buffer], self.place(o, columns), value)

    @contextmanager
    def leading(self) -> Iterator[list[str]]:
        """Loops over the columns' dimensions but the last."""
        with ExitStack() as stack:
            yield [stack.enter_context(self.kernel.loop(self.index, "0", size, hint="c"))
                   for size in self.inner[:-1]]

    @contextmanager
    def blocks(self) -> Iterator[tuple[str, str]]:
        """A loop over blocks of the columns' last dimension: first column, and end."""
        kernel, index, size = self.kernel, self.index, self.inner[-1]
        with kernel.loop(index, "0", size, str(BLOCK), "block") as block:
            yield block, kernel.integer(
                kernel.dialect.basic("min", [f"{block} + {BLOCK}", size], index), index, "stop")

    def starting(self, parts: Sequence[tuple[str, str, str]]) -> list[Value]:
        """Variables for partial results."""
        return [
            self.kernel.variable(self.kernel.literal(IDENTITY[how], self.spec.floating), name)
            for name, _, how in parts]

    def added(
        self, totals: Sequence[Value], parts: Sequence[tuple[str, str, str]],
        columns: Sequence[str], column: str,
    ) -> None:
        """Combine one column's elements into partial results."""
        loaded: dict[str, Value] = {}
        for total, (_, formula, how) in zip(totals, parts, strict=True):
            value = self.element(formula, lambda o: self.place(o, columns), column, loaded)
            value = self.kernel.cast(value, self.spec.floating)
            self.kernel.assign(total, combined(self.kernel, how, total, value))

    def only(self, columns: Sequence[str]) -> str:
        """The number of the column, where the columns are one dimension."""
        return columns[0] if len(columns) == 1 else ""


def item_at(array: Value, place: str) -> Value:
    """An element of a private array."""
    return real(array.register, f"{array.text}[{place}]")


def _formulas(step: Step) -> list[str]:
    match step:
        case Reduce(parts):
            return [f for _, f, _ in parts]
        case Store(parts):
            return [f for _, f in parts]
        case Pick(_, _, column):
            return [column]
        case Flag(_, condition, _, value):
            return [condition, value]
        case _:
            return [step.formula]
