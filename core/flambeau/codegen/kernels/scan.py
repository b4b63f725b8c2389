"""Running reductions: at each place along a dimension, what comes of the elements up to it.

Long rows are cut into chunks: a reduction gives the state of each chunk, :class:`Carry` makes of
them the states before each chunk, and :class:`Scan` begins there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from flambeau.codegen.block import Buffer, Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.reduce import MEMORY
from flambeau.codegen.kernels.states import Parts, State
from flambeau.dtypes import dtype

Form = Literal["row", "column", "group"]
SCALARS: Final = ("count", "share", "rows", "n", "per_chunk", "columns", "strips")
"""The numbers that every scan has first; see :meth:`Scan.source`."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a kernel is specialised for.

    Attributes:
        name: of the op.
        state: what is kept of the elements so far.
        element: type of the elements.
        outs: types of the results.
        form: how the work is dealt out.  "row": a work item has a chunk of a row.  "column": it
            has a chunk of up to ``width`` rows that are neighbours in memory.  "group": a group
            of work items has a chunk of a row.
        width: rows of a work item, or work items of a group.
        kept: per tensor, the input first, the strides from row to row ("0", "1", "?").
        along: per tensor its stride along the rows.
        carries: whether rows are cut, and states before each chunk are given.
        index: type of indices.
        group_size: work items per group.
    """

    name: str
    state: State
    element: dtype
    outs: tuple[dtype, ...]
    form: Form
    width: int
    kept: tuple[str, ...]
    along: str
    carries: bool
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the input, of the results, and, if it carries, of the
        states.  Then the number of work items, and of those per chunk; of rows; of elements of a
        row and of a chunk; of columns and of strips of them.  The offset of each tensor.  The
        sizes of the kept dimensions but the first, and strides marked "?" per tensor.  Strides
        along the rows marked "?".  The numbers that the state needs.
        """
        return _Writer(self, dialect).write()


class _Writer:
    """One kernel under construction."""

    def __init__(self, spec: Scan, dialect: Dialect) -> None:
        self.spec, self.state, self.index = spec, spec.state, spec.index
        self.kernel = kernel = Kernel(dialect, f"fb_{spec.name}", spec.group_size)
        self.source = kernel.buffer("x", spec.element)
        self.outs = [kernel.buffer(f"out_{k}", d, True) for k, d in enumerate(spec.outs)]
        self.carried = _states(kernel, spec.state, False) if spec.carries else []
        for name in SCALARS:
            kernel.scalar(name, spec.index)
        tensors = range(len(spec.kept))
        self.starts = [kernel.scalar(f"start_{t}", spec.index) for t in tensors]
        ndim = len(spec.kept[0])
        self.sizes = ["", *(kernel.scalar(f"size_{d}", spec.index) for d in range(1, ndim))][:ndim]
        self.kept = [self.strides(f"kept_{t}", marks) for t, marks in enumerate(spec.kept)]
        self.along = self.strides("along", spec.along)
        for name in spec.state.numbers:
            kernel.scalar(f"number_{name}", spec.state.floating)

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
        """One row by one work item."""
        chunk, row = self.split(item)
        places = self.places(row)
        acc = self.variables(self.first_state(chunk, row))
        with self.kernel.loop(self.index, *self.bounds(chunk), hint="at") as at:
            here = [self.moved(place, at, t) for t, place in enumerate(places)]
            self.put(acc, self.grown(acc, here[0], at))
            self.store(acc, here[1:])

    def column(self, item: str) -> None:
        """Neighbouring rows by one work item."""
        kernel, width = self.kernel, self.spec.width
        chunk, strip = self.split(item)
        outer = self.integer(f"{strip} / strips", "outer")
        own = self.integer(f"({strip} - {outer} * strips) * {width}", "own")
        count = self.smaller(str(width), f"columns - {own}")
        names = tuple(kernel.fresh("acc") for _ in self.state.registers)
        for register, name in zip(self.state.registers, names, strict=True):
            kernel.line(kernel.dialect.array(register, name, width))
        first = self.integer(f"{outer} * columns + {own}", "row")
        with kernel.loop(self.index, "0", count, hint="j") as j:
            self.put(_at(names, j), self.first_state(chunk, f"{first} + {j}"))
        places = self.places(first)
        with kernel.loop(self.index, *self.bounds(chunk), hint="at") as at:
            rows = [self.integer(self.moved(place, at, t), "row")
                    for t, place in enumerate(places)]
            with kernel.loop(self.index, "0", count, hint="j") as j:
                here = [_moved(row, j, steps[-1])
                        for row, steps in zip(rows, self.kept, strict=True)]
                self.put(_at(names, j), self.grown(_at(names, j), here[0], at))
                self.store(_at(names, j), here[1:])

    def group(self) -> None:
        """One row by a group: tile after tile, each scanned in shared memory in log2 steps."""
        kernel, lanes, registers = self.kernel, self.spec.width, self.state.registers
        chunk, row = self.split(kernel.position("group", self.index))
        lane = kernel.position("local", self.index)
        places = self.places(row)
        carry = self.variables(self.first_state(chunk, row))
        shared = tuple(kernel.shared(register, lanes) for register in registers)
        mine, last = _at(shared, lane), _at(shared, str(lanes - 1))
        first, stop = self.bounds(chunk)
        with kernel.loop(self.index, first, stop, str(lanes), "tile") as tile:
            at = self.integer(f"{tile} + {lane}", "at")
            here = [self.moved(place, at, t) for t, place in enumerate(places)]
            self.put(mine, self.state.identity(kernel))
            with kernel.when(f"{at} < {stop}"):
                self.put(mine, self.grown(mine, here[0], at))
            kernel.barrier()
            reach = 1
            while reach < lanes:
                before = self.variables(mine)
                with kernel.when(f"{lane} >= {reach}"):
                    self.put(before, self.state.combine(
                        kernel, _at(shared, f"{lane} - {reach}"), mine))
                kernel.barrier()
                self.put(mine, before)
                kernel.barrier()
                reach *= 2
            with kernel.when(f"{at} < {stop}"):
                self.store(self.named(self.state.combine(kernel, carry, mine)), here[1:])
            self.put(carry, self.state.combine(kernel, carry, last))
            kernel.barrier()

    # ---- where -------------------------------------------------------------------------------
    def split(self, item: str) -> tuple[str, str]:
        """The number of the chunk, and that of the row or strip."""
        if not self.spec.carries:
            return "0", item
        chunk = self.integer(f"{item} / share", "chunk")
        return chunk, self.integer(f"{item} - {chunk} * share", "row")

    def bounds(self, chunk: str) -> tuple[str, str]:
        """The first element of a chunk, and the end."""
        if not self.spec.carries:
            return "0", "n"
        first = self.integer(f"{chunk} * per_chunk", "first")
        return first, self.smaller(f"{first} + per_chunk", "n")

    def smaller(self, a: str, b: str) -> str:
        """The smaller of two indices."""
        a, b = self.integer(a), self.integer(b)
        return self.integer(
            self.kernel.dialect.select(f"{a} < {b}", a, b, self.index), "stop")

    def places(self, row: str) -> list[str]:
        """Where a row begins in each tensor."""
        return unravel(self.kernel, row, self.sizes, self.kept, self.index, self.starts)

    def moved(self, place: str, at: str, tensor: int) -> str:
        """A place along a row."""
        return _moved(place, at, self.along[tensor])

    # ---- states ------------------------------------------------------------------------------
    def first_state(self, chunk: str, row: str) -> Parts:
        """What came before a chunk."""
        if not self.spec.carries:
            return self.state.identity(self.kernel)
        at = self.integer(f"{chunk} * rows + {row}", "before")
        return tuple(self.kernel.load(buffer, at).text for buffer in self.carried)

    def variables(self, parts: Parts) -> Parts:
        """A state that can be replaced."""
        return _variables(self.kernel, self.state, parts)

    def named(self, parts: Parts) -> Parts:
        """A state that is computed once."""
        return tuple(self.kernel.let(real(register, part)).text
                     for register, part in zip(self.state.registers, parts, strict=True))

    def put(self, into: Parts, parts: Parts) -> None:
        """Replace a state."""
        for name, part in zip(into, self.named(parts), strict=True):
            self.kernel.line(f"{name} = {part};")

    def grown(self, acc: Parts, place: str, at: str) -> Parts:
        """With the next element."""
        return self.state.absorb(self.kernel, acc, self.kernel.load(self.source, place), at)

    def store(self, acc: Parts, places: Sequence[str]) -> None:
        """Write the results at a place."""
        values = self.state.results(self.kernel, acc, real(self.index, "n"))
        for buffer, place, value in zip(self.outs, places, values, strict=True):
            self.kernel.store(buffer, place, value)


@dataclass(frozen=True, slots=True)
class Carry:
    """States of chunks, replaced by those of all chunks before; a work item has a row.

    Attributes:
        name: of the op.
        state: what is kept.
        index: type of indices.
        group_size: work items per group.
    """

    name: str
    state: State
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel; arguments: the buffers of the states, then the numbers of rows and of
        chunks."""
        kernel = Kernel(dialect, f"fb_{self.name}_carry", self.group_size)
        buffers = _states(kernel, self.state, True)
        kernel.scalar("rows", self.index)
        kernel.scalar("chunks", self.index)
        for name in self.state.numbers:
            kernel.scalar(f"number_{name}", self.state.floating)
        with kernel.item("rows", self.index) as row:
            acc = _variables(kernel, self.state, self.state.identity(kernel))
            with kernel.loop(self.index, "0", "chunks", hint="chunk") as chunk:
                at = kernel.integer(f"{chunk} * rows + {row}", self.index, "at")
                here = tuple(kernel.load(buffer, at).text for buffer in buffers)
                for buffer, register, name in zip(
                        buffers, self.state.registers, acc, strict=True):
                    kernel.store(buffer, at, real(register, name))
                joined = [kernel.let(real(register, part)).text for register, part in zip(
                    self.state.registers, self.state.combine(kernel, acc, here), strict=True)]
                for name, part in zip(acc, joined, strict=True):
                    kernel.line(f"{name} = {part};")
        return kernel.finish()


def _states(kernel: Kernel, state: State, is_written: bool) -> list[Buffer]:
    return [kernel.buffer(f"state_{k}", MEMORY[register], is_written)
            for k, register in enumerate(state.registers)]


def _variables(kernel: Kernel, state: State, parts: Parts) -> Parts:
    return tuple(kernel.variable(Value(register, (part,)), "acc").text
                 for register, part in zip(state.registers, parts, strict=True))


def _at(names: Parts, j: str) -> Parts:
    return tuple(f"{name}[{j}]" for name in names)


def _moved(place: str, at: str, step: str) -> str:
    if step == "0":
        return place
    return f"{place} + {at}" if step == "1" else f"{place} + ({at}) * {step}"
