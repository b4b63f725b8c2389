"""Kernels over rows by items that work alone: one per row, or per tile of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flambeau.codegen.block import KernelSource, Value, real
from flambeau.codegen.kernels.group import IDENTITY, combined
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.row_writer import Writer, item_at
from flambeau.codegen.kernels.rows import Flag, Operand, StoreRow


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
                self.added([item_at(p, u) for p in partial], parts, columns, self.only(columns))
            with kernel.loop(index, whole, stop, hint="k") as k:
                columns = [*outer, k]
                self.added([item_at(p, "0") for p in partial], parts, columns, self.only(columns))
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
                kernel.assign(item_at(array, u), combined(
                    kernel, how, item_at(array, u), item_at(array, f"{u} + {width}")))
            width //= 2
        kernel.assign(total, combined(kernel, how, total, item_at(array, "0")))


# ---- tiles of rows -------------------------------------------------------------------------------
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
        return {**self.numbers, **{n: item_at(array, self.at) for n, array in self.row.items()}}

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
            self.kernel.assign(item_at(array, at), value)
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
                mine = [item_at(p, self.at) for p in partial]
                self.added(mine, parts, columns, self.only(columns))
            with self.each():
                for total, part, (_, _, how) in zip(totals, partial, parts, strict=True):
                    whole = item_at(total, self.at)
                    self.kernel.assign(
                        whole, combined(self.kernel, how, whole, item_at(part, self.at)))
        for (name, _, _), total in zip(parts, totals, strict=True):
            self.row[name] = total

    def initial(self, name: str, how: str) -> Value:
        """An array of results of nothing."""
        value = self.kernel.literal(IDENTITY[how], self.spec.floating)
        array = self.array(name, value)
        with self.each():
            self.kernel.assign(item_at(array, self.at), value)
        return array


def _scaled(step: str, tile: int) -> str:
    if step == "0":
        return step
    return str(tile) if step == "1" else f"({tile} * {step})"
