"""Kernels over rows by lanes of a group that share a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flambeau.codegen.block import KernelSource, Value, real
from flambeau.codegen.kernels.group import combine_lanes
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.row_writer import Writer
from flambeau.codegen.kernels.rows import Operand, StoreRow


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
