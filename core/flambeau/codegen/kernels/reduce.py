"""Reductions: each result from many elements, or from the partial states of a first kernel.

The elements of one result are *runs* along the innermost reduced dimension, numbered through the
other reduced dimensions, and a long run is cut into *pieces*.  The pieces are dealt out in chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from flambeau import dtypes
from flambeau.codegen.block import Buffer, Kernel, KernelSource, real
from flambeau.codegen.dialects.base import Dialect, Index, Register
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.states import Parts, State
from flambeau.dtypes import dtype

Form = Literal["row", "column", "group"]
Joins = Literal["never", "steps", "runs"]
Chunks = Literal["one", "units", "many"]
BLOCK: Final = 64
"""Steps after which a partial result is joined to the others, so that all are of like size."""
RUNS: Final = 16
"""The same in runs of a few steps."""
REGISTERS: Final = 32
"""Accumulators that fit into registers."""
STEPS: Final[dict[Form, int]] = {"row": 4, "column": 8}
"""Steps that a work item with more accumulators takes in one pass."""
MEMORY: Final[dict[Register, dtype]] = {
    "bool": dtypes.bool, "u8": dtypes.uint8, "i8": dtypes.int8, "i16": dtypes.int16,
    "i32": dtypes.int32, "i64": dtypes.int64, "f32": dtypes.float32, "f64": dtypes.float64,
}
"""What numbers of a state are kept in between two kernels."""
SCALARS: Final = (
    "count", "share", "results", "units", "per_chunk", "pieces", "piece", "run", "n", "columns",
    "strips",
)
"""The numbers that every kernel has first; see :meth:`_Writer.scalars`."""


@dataclass(frozen=True, slots=True)
class Reduce:
    """What a kernel is specialised for.

    Attributes:
        name: of the op.
        state: what is reduced to.
        element: type of the elements; None for partial states.
        outs: types of the results; none if partial states are written.
        form: how the work is dealt out.  "row": a work item has a chunk of one result, in
            ``width`` independent accumulators.  "column": it has ``width`` results that are
            neighbours in memory.  "group": a group of work items has a chunk of one result.
        width: accumulators, or work items of a group.
        kept: per tensor, the input first, the strides along the kept dimensions ("0", "1", "?").
        reduced: those of the input along the reduced dimensions.
        joins: when accumulators begin anew and are joined: never; every :data:`BLOCK` steps, and
            for each run; every :data:`RUNS` short runs.
        chunks: whether a result has "one" chunk, or several, of one of the "units" each or of
            "many".
        pieces: whether runs are cut.
        index: type of indices.
        group_size: work items per group.
    """

    name: str
    state: State
    element: dtype | None
    outs: tuple[dtype, ...]
    form: Form
    width: int
    kept: tuple[str, ...]
    reduced: str
    joins: Joins
    chunks: Chunks
    pieces: bool
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the input, or one per number of the partial states;
        those of the results, or of partial states; then numbers in the order of
        :meth:`_Writer.scalars`.
        """
        return _Writer(self, dialect).write()


class Cells(NamedTuple):
    """Accumulators: a variable, or an array, per number of the state."""

    names: tuple[str, ...]
    is_array: bool

    def at(self, j: str) -> Parts:
        """One state."""
        return tuple(f"{name}[{j}]" for name in self.names) if self.is_array else self.names


class Stretch(NamedTuple):
    """Elements of a run that are reduced together."""

    first: str
    """The number of the first one within the run."""
    length: str
    start: str
    """Where the run begins."""
    run: str
    """The number of the run."""


class _Writer:
    """One kernel under construction."""

    def __init__(self, spec: Reduce, dialect: Dialect) -> None:
        self.spec, self.state, self.index = spec, spec.state, spec.index
        self.kernel = Kernel(dialect, f"fb_{spec.name}", spec.group_size)
        self.ins = self.buffers("in", (spec.element,) if spec.element else (), False)
        self.outs = self.buffers("out", spec.outs, True)
        self.scalars()

    def buffers(self, name: str, types: Sequence[dtype], is_written: bool) -> list[Buffer]:
        """One per type, or per number of a state."""
        found = types or [MEMORY[register] for register in self.state.registers]
        return [self.kernel.buffer(f"{name}_{k}", what, is_written)
                for k, what in enumerate(found)]

    def scalars(self) -> None:
        """The numbers: of work items, and of those per chunk; of results; of units and of those in
        a chunk; of pieces per run; lengths of a piece and of a run; of elements per result; of
        columns and of strips of them.  The offset of each tensor.  The sizes of the kept
        dimensions but the first, and strides marked "?" per tensor.  The sizes of the reduced
        dimensions but the first, and strides marked "?".  What the state needs."""
        kernel, spec = self.kernel, self.spec
        for name in SCALARS:
            kernel.scalar(name, self.index)
        self.starts = [kernel.scalar(f"start_{t}", self.index) for t in range(len(spec.kept))]
        self.kept_sizes = self.sizes("kept", len(spec.kept[0]))
        self.kept = [self.strides(f"kept_{t}", marks) for t, marks in enumerate(spec.kept)]
        self.reduced_sizes = self.sizes("reduced", len(spec.reduced))
        self.reduced = self.strides("reduced", spec.reduced)
        for name in self.state.numbers:
            kernel.scalar(f"number_{name}", self.state.floating)

    def sizes(self, name: str, ndim: int) -> list[str]:
        """Sizes of dimensions but the first, which none needs."""
        named = [self.kernel.scalar(f"size_{name}_{d}", self.index) for d in range(1, ndim)]
        return ["", *named][:ndim]

    def strides(self, name: str, marks: str) -> list[str]:
        """Strides, known or given."""
        return self.kernel.strides(name, marks, self.index)

    def integer(self, text: str, hint: str = "i") -> str:
        """An index under a name."""
        return self.kernel.integer(text, self.index, hint)

    # ---- forms -------------------------------------------------------------------------------
    def write(self) -> KernelSource:
        """The text."""
        if self.spec.form == "group":
            self.group()
        else:
            with self.kernel.item("count", self.index) as item:
                (self.column if self.spec.form == "column" else self.row)(item)
        return self.kernel.finish()

    def row(self, item: str) -> None:
        """A chunk of one result by one work item."""
        width = self.spec.width
        chunk, result = self.split(item)
        places = self.places(result)
        acc = self.accumulators("acc")
        rest = self.accumulators("rest", is_single=True) if width > 1 else acc
        with self.stretches(chunk, places[0], acc) as (into, part):
            steps = self.integer(f"{part.length} / {width}", "steps") if width > 1 else part.length
            self.sweep(into, steps, part)
            if width > 1:  # into a variable: an array that is indexed by one stays in memory
                done = self.integer(f"{steps} * {width}", "done")
                with self.kernel.loop(self.index, done, part.length, hint="at") as at:
                    self.grow(rest, "0", at, part)
        half = width // 2
        while half:
            with self.each(half) as j:
                self.join(acc, j, acc, f"{j} + {half}" if half > 1 else "1")
            half //= 2
        if width > 1:
            self.join(acc, "0", rest, "0")
        self.finish(acc.at("0"), chunk, result, places[1:])

    def column(self, item: str) -> None:
        """A chunk of neighbouring results by one work item.

        The last strip of columns begins early enough to be full, and leaves out what is not its
        own when it writes.
        """
        width = self.spec.width
        chunk, strip = self.split(item)
        outer = self.integer(f"{strip} / strips", "outer")
        own = self.integer(f"({strip} - {outer} * strips) * {width}", "own")
        begin = self.smaller(own, f"columns - {width}")
        place = unravel(
            self.kernel, outer, self.kept_sizes[:-1], [self.kept[0][:-1]], self.index,
            [self.starts[0]])[0]
        acc = self.accumulators("acc")
        start, stop = self.bounds(chunk)
        self.sweep_columns(acc, start, stop, self.integer(f"{place} + {begin}", "place"))
        with self.each(width) as j:
            at = self.integer(f"{begin} + {j}", "column")
            with self.kernel.when(f"{at} >= {own}"):
                result = self.integer(f"{outer} * columns + {at}", "result")
                self.finish(acc.at(j), chunk, result, self.places(result)[1:])

    def group(self) -> None:
        """A chunk of one result by the work items of a group."""
        spec, kernel = self.spec, self.kernel
        chunk, result = self.split(kernel.position("group", self.index))
        lane = kernel.position("local", self.index)
        places = self.places(result)
        acc = self.accumulators("acc", is_single=True)
        with self.stretches(chunk, places[0], acc) as (_, part), \
                kernel.loop(self.index, lane, part.length, str(spec.width), "at") as at:
            self.grow(acc, "0", at, part)
        shared = Cells(
            tuple(kernel.shared(r, spec.width) for r in self.state.registers), True)
        self.put(shared, lane, acc.names)
        kernel.barrier()
        half = spec.width // 2
        while half:
            with kernel.when(f"{lane} < {half}"):
                self.join(shared, lane, shared, f"{lane} + {half}")
            kernel.barrier()
            half //= 2
        with kernel.when(f"{lane} == 0"):
            self.finish(shared.at("0"), chunk, result, places[1:])

    # ---- where -------------------------------------------------------------------------------
    def split(self, item: str) -> tuple[str, str]:
        """The number of the chunk, and that among its work items."""
        if self.spec.chunks == "one":
            return "0", item
        chunk = self.integer(f"{item} / share", "chunk")
        return chunk, self.integer(f"{item} - {chunk} * share", "result")

    def bounds(self, chunk: str) -> tuple[str, str]:
        """The units of a chunk."""
        if self.spec.chunks == "one":
            return "0", "units"
        first = self.integer(f"{chunk} * per_chunk", "first")
        return first, self.smaller(f"{first} + per_chunk", "units")

    def places(self, result: str) -> list[str]:
        """Where a result's first element is, and where the results go."""
        return unravel(
            self.kernel, result, self.kept_sizes, self.kept, self.index, self.starts)

    @contextmanager
    def stretches(
        self, chunk: str, place: str, acc: Cells
    ) -> Iterator[tuple[Cells, Stretch]]:
        """Statements for each stretch of a chunk, and where to gather it."""
        spec, kernel = self.spec, self.kernel
        if spec.chunks == "one" and len(spec.reduced) <= 1:
            yield acc, Stretch("0", "run", place, "0")
            return
        if spec.chunks == "units":  # a plain loop is optimised better than one in another
            yield acc, self.stretch(chunk, place)
            return
        low, high = self.bounds(chunk)
        runs = self.blocks(acc, low, high, RUNS) if spec.joins == "runs" else nullcontext(
            (acc, low, high))
        with runs as (into, first, stop), kernel.loop(self.index, first, stop, hint="unit") as unit:
            yield into, self.stretch(unit, place)

    def stretch(self, unit: str, place: str) -> Stretch:
        """The elements of a unit."""
        spec = self.spec
        number = self.integer(f"{unit} / pieces", "number") if spec.pieces else unit
        start = place
        if len(spec.reduced) > 1:
            start = unravel(self.kernel, number, self.reduced_sizes[:-1], [self.reduced[:-1]],
                            self.index, [place])[0]
        if not spec.pieces:
            return Stretch("0", "run", start, number)
        at = self.integer(f"({unit} - {number} * pieces) * piece", "from")
        return Stretch(at, self.smaller("piece", f"run - {at}"), start, number)

    def smaller(self, a: str, b: str) -> str:
        """The smaller of two indices."""
        a, b = self.integer(a), self.integer(b)
        return self.integer(
            self.kernel.dialect.select(f"{a} < {b}", a, b, self.index), "stop")

    # ---- accumulators ------------------------------------------------------------------------
    def accumulators(self, hint: str, is_single: bool = False) -> Cells:
        """New ones without elements, as many as the width."""
        kernel, identity = self.kernel, self.state.identity(self.kernel)
        registers = self.state.registers
        if is_single or self.spec.width == 1:
            return Cells(tuple(
                kernel.variable(real(register, text), hint).text
                for register, text in zip(registers, identity, strict=True)), False)
        names = tuple(kernel.fresh(hint) for _ in identity)
        for register, name in zip(registers, names, strict=True):
            kernel.line(kernel.dialect.array(register, name, self.spec.width))
        cells = Cells(names, True)
        with self.each(self.spec.width) as j:
            self.put(cells, j, identity)
        return cells

    def each(self, width: int) -> AbstractContextManager[str]:
        """A loop over accumulators."""
        if width == 1:
            return nullcontext("0")
        return self.kernel.loop(self.index, "0", str(width), hint="j")

    def put(self, cells: Cells, j: str, parts: Parts) -> None:
        """Replace a state; its numbers may depend on each other's old values."""
        kernel = self.kernel
        if len(parts) > 1:
            parts = tuple(
                kernel.let(real(register, part)).text
                for register, part in zip(self.state.registers, parts, strict=True))
        for place, part in zip(cells.at(j), parts, strict=True):
            kernel.line(f"{place} = {part};")

    def join(self, into: Cells, j: str, other: Cells, k: str) -> None:
        """Join one state to another."""
        self.put(into, j, self.state.combine(self.kernel, into.at(j), other.at(k)))

    @contextmanager
    def blocks(
        self, acc: Cells, start: str, stop: str, length: int
    ) -> Iterator[tuple[Cells, str, str]]:
        """Statements for stretches of a range: where to gather them, the first and the end; what
        each gave is joined to what was there."""
        kernel = self.kernel
        with kernel.loop(self.index, start, stop, str(length), "block") as block:
            recent = self.accumulators("recent")
            yield recent, block, self.smaller(f"{block} + {length}", stop)
            with self.each(self.spec.width) as j:
                self.join(acc, j, recent, j)

    def steps(
        self, acc: Cells, start: str, stop: str
    ) -> AbstractContextManager[tuple[Cells, str, str]]:
        """Statements for all steps, or for blocks of them."""
        if self.spec.joins == "steps":
            return self.blocks(acc, start, stop, BLOCK)
        return nullcontext((acc, start, stop))

    # ---- elements ----------------------------------------------------------------------------
    def sweep(self, acc: Cells, steps: str, part: Stretch) -> None:
        """Steps of as many elements as there are accumulators."""
        width = self.spec.width

        def take(into: Cells, numbers: Sequence[str]) -> None:
            with self.each(width) as j:
                for step in numbers:
                    self.grow(into, j, step if width == 1 else f"{step} * {width} + {j}", part)

        with self.steps(acc, "0", steps) as (into, low, high):
            self.passes(low, high, into, take)

    def sweep_columns(self, acc: Cells, start: str, stop: str, place: str) -> None:
        """Rows of as many elements as there are accumulators."""

        def take(into: Cells, numbers: Sequence[str]) -> None:
            starts = [
                unravel(self.kernel, row, self.reduced_sizes, [self.reduced], self.index,
                        [place])[0] for row in numbers]
            with self.each(self.spec.width) as j:
                for row, at in zip(numbers, starts, strict=True):
                    self.take(into, j, f"{at} + {j}", row)

        with self.steps(acc, start, stop) as (into, low, high):
            self.passes(low, high, into, take)

    def passes(
        self, low: str, high: str, into: Cells, take: Callable[[Cells, Sequence[str]], None]
    ) -> None:
        """Some steps at a time: while an accumulator of many is in a register, all of them go into
        it.  And compilers do not exchange such loops, as they do two plain ones, for the worse."""
        done = low
        if self.spec.width > REGISTERS:
            count = STEPS[self.spec.form]
            done = self.integer(f"{low} + ({high} - {low}) / {count} * {count}", "done")
            with self.kernel.loop(self.index, low, done, str(count), "step") as step:
                rest = [self.integer(f"{step} + {k}", "step") for k in range(1, count)]
                take(into, [step, *rest])
        with self.kernel.loop(self.index, done, high, hint="step") as step:
            take(into, [step])

    def grow(self, acc: Cells, j: str, at: str, part: Stretch) -> None:
        """Add the element at a place within a stretch."""
        at = at if part.first == "0" else f"{part.first} + {at}"
        step = self.reduced[-1] if self.reduced else "0"
        moved = {"0": "", "1": f" + {at}"}.get(step, f" + ({at}) * {step}")
        number = at if part.run == "0" else f"{part.run} * run + {at}"
        self.take(acc, j, f"{part.start}{moved}", number)

    def take(self, acc: Cells, j: str, index: str, number: str) -> None:
        """Add an element, or join a partial state."""
        kernel = self.kernel
        if self.spec.element is None:
            x = tuple(kernel.load(b, index).text for b in self.ins)
            self.put(acc, j, self.state.combine(kernel, acc.at(j), x))
            return
        number = self.integer(number, "number") if self.state.is_ordered else ""
        x_value = kernel.load(self.ins[0], index)
        self.put(acc, j, self.state.absorb(kernel, acc.at(j), x_value, number))

    def finish(self, state: Parts, chunk: str, result: str, places: Sequence[str]) -> None:
        """Write the results of a state, or the state."""
        kernel = self.kernel
        if self.spec.outs:
            values = self.state.results(kernel, state, real(self.index, "n"))
            for buffer, place, value in zip(self.outs, places, values, strict=True):
                kernel.store(buffer, place, value)
            return
        at = self.integer(f"{chunk} * results + {result}", "place")
        for buffer, register, text in zip(self.outs, self.state.registers, state, strict=True):
            kernel.store(buffer, at, real(register, text))
