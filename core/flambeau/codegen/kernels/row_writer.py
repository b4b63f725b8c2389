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
from flambeau.codegen.kernels.group import IDENTITY, combine_lanes, combined
from flambeau.codegen.kernels.indexing import unravel
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


def writer_for(spec: Rows, dialect: Dialect) -> Writer:
    """The writer that fits how the work is laid out."""
    if spec.lanes > 1:
        return LaneWriter(spec, dialect)
    return (TileWriter if spec.tile > 1 else ItemWriter)(spec, dialect)


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


# ---- one item per row ----------------------------------------------------------------------------
class ItemWriter(Writer):
    """One item per row."""

    def write(self) -> KernelSource:
        """The whole kernel."""
        with self.kernel.item(self.count, self.index) as item:
            places = unravel(self.kernel, item, self.outer, [s[0] for s in self.steps],
                             self.index, self.starts)
            self.bases = dict(zip(self.operands, places, strict=True))
            self.write_steps()
        return self.kernel.finish()

    def keep(self, name: str, make: Callable[[], Value]) -> None:
        """A constant."""
        self.row[name] = make()

    def base(self, o: Operand) -> str:
        """A constant."""
        return self.bases[o.name]

    def store(self, parts: Sequence[tuple[str, str]]) -> None:
        """Loops over all columns."""
        with self.leading() as outer, self.kernel.loop(
                self.index, "0", self.inner[-1], hint="k") as k:
            columns = [*outer, k]
            self.store_elements(parts, columns, self.only(columns))

    def reduce(self, parts: Sequence[tuple[str, str, str]]) -> None:
        """Loops over all columns, with one or several partial results."""
        totals = self.starting(parts)
        with self.leading() as outer:
            if self.spec.unroll > 1:
                self.in_blocks(parts, totals, outer)
            else:
                self.one_by_one(parts, totals, outer)
        for (name, _, _), total in zip(parts, totals, strict=True):
            self.row[name] = total

    def one_by_one(
        self, parts: Sequence[tuple[str, str, str]], totals: Sequence[Value], outer: list[str]
    ) -> None:
        """Blocks of the last dimension, each in one partial result."""
        with self.blocks() as (block, stop):
            partial = self.starting(parts)
            with self.kernel.loop(self.index, block, stop, hint="k") as k:
                columns = [*outer, k]
                self.added(partial, parts, columns, self.only(columns))
            for (_, _, how), total, part in zip(parts, totals, partial, strict=True):
                self.kernel.assign(total, combined(self.kernel, how, total, part))

    def in_blocks(
        self, parts: Sequence[tuple[str, str, str]], totals: Sequence[Value], outer: list[str]
    ) -> None:
        """Blocks of the last dimension, each in ``unroll`` partial results and a tail."""
        kernel, width, index = self.kernel, self.spec.unroll, self.index
        with self.blocks() as (block, stop):
            partial = self.partial_arrays(parts)
            whole = kernel.integer(
                f"{stop} - ({stop} - {block}) % {width}", index, "whole")
            with (kernel.loop(index, block, whole, str(width), hint="k") as k,
                  kernel.loop(index, "0", str(width), hint="u") as u):
                columns = [*outer, kernel.integer(f"{k} + {u}", index, "c")]
                self.added([_at(p, u) for p in partial], parts, columns, self.only(columns))
            with kernel.loop(index, whole, stop, hint="k") as k:
                columns = [*outer, k]
                self.added([_at(p, "0") for p in partial], parts, columns, self.only(columns))
            for (_, _, how), total, array in zip(parts, totals, partial, strict=True):
                self.fold(array, how, total)

    def partial_arrays(self, parts: Sequence[tuple[str, str, str]]) -> list[Value]:
        """Private arrays of partial results."""
        kernel, register = self.kernel, self.spec.floating
        arrays = []
        for name, _, how in parts:
            array = kernel.fresh(f"{name}_parts")
            kernel.line(kernel.dialect.array(register, array, self.spec.unroll))
            with kernel.loop(self.index, "0", str(self.spec.unroll), hint="u") as u:
                kernel.assign(real(register, f"{array}[{u}]"),
                              kernel.literal(IDENTITY[how], register))
            arrays.append(real(register, array))
        return arrays

    def fold(self, array: Value, how: str, total: Value) -> None:
        """Add partial results to the row's, halves first."""
        kernel, width = self.kernel, self.spec.unroll // 2
        while width:
            with kernel.loop(self.index, "0", str(width), hint="u") as u:
                kernel.assign(_at(array, u), combined(
                    kernel, how, _at(array, u), _at(array, f"{u} + {width}")))
            width //= 2
        kernel.assign(total, combined(kernel, how, total, _at(array, "0")))


def _at(array: Value, place: str) -> Value:
    return real(array.register, f"{array.text}[{place}]")


# ---- one item per tile of rows -------------------------------------------------------------------
class TileWriter(Writer):
    """One item per tile of neighbouring rows: the innermost loops run over these."""

    at = ""
    """The row within the tile, in a loop over rows."""
    live = ""
    """How many rows the tile has."""

    def write(self) -> KernelSource:
        """The whole kernel."""
        tile = self.spec.tile
        steps = [[*s[0][:-1], _scaled(s[0][-1], tile)] for s in self.steps]
        first_row = [*["0"] * (self.spec.outer_ndim - 1), str(tile)]
        with self.kernel.item(self.count, self.index) as item:
            *places, first = unravel(
                self.kernel, item, self.outer, [*steps, first_row], self.index,
                [*self.starts, "0"])
            self.bases = dict(zip(self.operands, places, strict=True))
            self.live = self.kernel.integer(self.kernel.dialect.basic(
                "min", [str(tile), f"{self.last_rows} - {first}"], self.index), self.index, "live")
            self.write_steps()
        return self.kernel.finish()

    @contextmanager
    def each(self) -> Iterator[None]:
        """A loop over the rows."""
        with self.kernel.loop(self.index, "0", self.live, hint="r") as r:
            self.at = r
            yield
        self.at = ""

    def scope(self) -> dict[str, Value]:
        """The values of the row at hand."""
        return {**self.numbers, **{n: _at(array, self.at) for n, array in self.row.items()}}

    def array(self, name: str, value: Value) -> Value:
        """A private array with a place per row, for values like this one."""
        array = self.kernel.fresh(name)
        self.kernel.line(self.kernel.dialect.array(value.register, array, self.spec.tile))
        return real(value.register, array)

    def keep(self, name: str, make: Callable[[], Value]) -> None:
        """An array; its register type is known once a value has been written, out of sight."""
        lines, self.kernel.lines = self.kernel.lines, []
        with self.each():
            value = make()
            at = self.at
            array = real(value.register, self.kernel.fresh(name))
            self.kernel.assign(_at(array, at), value)
        loop, self.kernel.lines = self.kernel.lines, lines
        self.kernel.line(self.kernel.dialect.array(array.register, array.text, self.spec.tile))
        self.kernel.lines += loop
        self.row[name] = array

    def base(self, o: Operand) -> str:
        """The tile's, and as many steps as the row is rows behind its first."""
        step = self.steps[self.spec.operands.index(o)][0][-1]
        base = self.bases[o.name]
        if step == "0":
            return base
        return f"{base} + {self.at}" if step == "1" else f"{base} + {self.at} * {step}"

    def store_row(self, step: StoreRow) -> None:
        """One after the other."""
        with self.each():
            super().store_row(step)

    def flag(self, step: Flag) -> None:
        """One after the other."""
        with self.each():
            super().flag(step)

    def store(self, parts: Sequence[tuple[str, str]]) -> None:
        """For each column all rows."""
        with (self.leading() as outer,
              self.kernel.loop(self.index, "0", self.inner[-1], hint="k") as k, self.each()):
            columns = [*outer, k]
            self.store_elements(parts, columns, self.only(columns))

    def reduce(self, parts: Sequence[tuple[str, str, str]]) -> None:
        """Blocks of columns: sums of a block are added to those of the row."""
        totals = [self.initial(name, how) for name, _, how in parts]
        with self.leading() as outer, self.blocks() as (block, stop):
            partial = [self.initial(f"{name}_part", how) for name, _, how in parts]
            with self.kernel.loop(self.index, block, stop, hint="k") as k, self.each():
                columns = [*outer, k]
                self.added([_at(p, self.at) for p in partial], parts, columns, self.only(columns))
            with self.each():
                for total, part, (_, _, how) in zip(totals, partial, parts, strict=True):
                    mine = _at(total, self.at)
                    self.kernel.assign(
                        mine, combined(self.kernel, how, mine, _at(part, self.at)))
        for (name, _, _), total in zip(parts, totals, strict=True):
            self.row[name] = total

    def initial(self, name: str, how: str) -> Value:
        """An array of results of nothing."""
        value = self.kernel.literal(IDENTITY[how], self.spec.floating)
        array = self.array(name, value)
        with self.each():
            self.kernel.assign(_at(array, self.at), value)
        return array


def _scaled(step: str, tile: int) -> str:
    if step == "0":
        return step
    return str(tile) if step == "1" else f"({tile} * {step})"


# ---- several lanes per row -----------------------------------------------------------------------
class LaneWriter(Writer):
    """Lanes of a group share a row: each takes every so-many-th column."""

    local = lane = is_row = ""

    def write(self) -> KernelSource:
        """The whole kernel."""
        kernel, spec, index = self.kernel, self.spec, self.index
        self.local = kernel.position("local", index)
        row = kernel.position("group", index)
        several = spec.rows_per_group
        if several == 1:
            self.lane = self.local
        else:
            by = spec.rows_per_group if spec.rows_inner else spec.lanes
            high = kernel.integer(f"{self.local} / {by}", index, "high")
            low = kernel.integer(f"{self.local} - {high} * {by}", index, "low")
            self.lane, within = (high, low) if spec.rows_inner else (low, high)
            row = kernel.integer(f"{row} * {several} + {within}", index, "row")
            self.is_row = kernel.let(real("bool", f"{row} < {self.count}"), "is_row").text
            row = kernel.integer(
                kernel.dialect.basic("min", [row, f"{self.count} - 1"], index), index, "row")
        places = unravel(
            kernel, row, self.outer, [s[0] for s in self.steps], index, self.starts)
        self.bases = dict(zip(self.operands, places, strict=True))
        self.write_steps()
        return kernel.finish()

    def keep(self, name: str, make: Callable[[], Value]) -> None:
        """All lanes have it."""
        self.row[name] = make()

    def base(self, o: Operand) -> str:
        """A constant."""
        return self.bases[o.name]

    @contextmanager
    def mine(self) -> Iterator[tuple[list[str], str]]:
        """A loop over the columns of this lane: indices, and the number where there is one."""
        kernel, index, lanes = self.kernel, self.index, str(self.spec.lanes)
        if self.spec.is_flat:
            stop = self.stop(" * ".join(self.inner))
            with kernel.loop(index, self.lane, stop, lanes, "k") as k:
                rest = k
                columns: list[str] = []
                for size in reversed(self.inner[1:]):
                    quotient = kernel.integer(f"{rest} / {size}", index, "q")
                    columns.insert(0, kernel.integer(f"{rest} - {quotient} * {size}", index, "c"))
                    rest = quotient
                yield [rest, *columns], k
            return
        stop = self.stop(self.inner[-1])
        with self.leading() as outer, kernel.loop(index, self.lane, stop, lanes, "k") as k:
            yield [*outer, k], self.only([*outer, k])

    def stop(self, count: str) -> str:
        """How many columns there are: none in rows behind the last."""
        if not self.is_row:
            return self.kernel.integer(count, self.index, "stop")
        zero = self.kernel.dialect.literal(0, self.index)
        return self.kernel.integer(
            self.kernel.dialect.select(self.is_row, count, zero, self.index), self.index, "stop")

    def store_row(self, step: StoreRow) -> None:
        """By the first lane."""
        condition = f"{self.lane} == 0"
        value = self.evaluate(step.formula, self.scope())
        o = self.operands[step.operand]
        with self.kernel.when(f"{condition} && {self.is_row}" if self.is_row else condition):
            self.kernel.store(self.buffers[o.buffer], self.base(o), value)

    def store(self, parts: Sequence[tuple[str, str]]) -> None:
        """Each lane its columns."""
        with self.mine() as (columns, column):
            self.store_elements(parts, columns, column)

    def reduce(self, parts: Sequence[tuple[str, str, str]]) -> None:
        """Each lane its columns, then trees."""
        totals = self.starting(parts)
        with self.mine() as (columns, column):
            self.added(totals, parts, columns, column)
        stride = self.spec.rows_per_group if self.spec.rows_inner else 1
        results = combine_lanes(
            self.kernel, totals, [how for _, _, how in parts], self.spec.lanes, self.local,
            self.lane, stride)
        for (name, _, _), result in zip(parts, results, strict=True):
            self.row[name] = result
