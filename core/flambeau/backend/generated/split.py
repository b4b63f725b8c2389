"""How the elements of reductions are dealt out to work items, and the launches that this gives.

It depends on shapes and strides alone, never on how many units a device has: equal calls give
equal bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau.codegen.dialects.base import Index
from flambeau.codegen.kernels.indexing import Walk, given_strides, in_memory_order, marks_of
from flambeau.codegen.kernels.reduce import (
    BLOCK,
    MEMORY,
    REGISTERS,
    RUNS,
    Chunks,
    Form,
    Joins,
    Reduce,
)
from flambeau.codegen.kernels.states import State
from flambeau.dtypes import dtype
from flambeau.layout import Layout

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend, Traits

CHUNK: Final = 32768
"""Elements that a work item, or a group, reduces at least where a result has several chunks."""
CHUNKS_AT_MOST: Final = 1024
"""Per result."""
PARTS_AT_MOST: Final = 1 << 17
"""Partial states of all results where each run is a chunk."""
LONG: Final = 1024
"""Runs from this length on are each worth a work item."""
ENOUGH: Final = 64
"""Results, or strips of columns, that occupy a device without further division."""
MANY: Final = 1 << 15
"""Work items that occupy a device on which each goes through columns of its own."""
SUMMANDS: Final = REGISTERS
"""Accumulators along a run where joining is arithmetic."""
CHOICES: Final = 2 * REGISTERS
"""The same where it is a choice by a condition, which plain loops are vectorised for."""
COLUMNS: Final = 1024
"""Numbers that a work item keeps of neighbouring results."""
SHORT: Final = 64
"""Runs below this length are not worth several accumulators, nor a group."""


class Step(NamedTuple):
    """One launch; temporary buffers lie between two of them."""

    handle: Any
    groups: int
    scalars: tuple[int, ...]


class Split(NamedTuple):
    """How elements are dealt out; see :class:`Reduce`."""

    form: Form
    width: int
    per_chunk: int
    """Units in a chunk."""
    pieces: int
    """Per run."""
    piece: int
    """Elements."""
    units: int

    @property
    def chunks(self) -> int:
        """Per result."""
        return max(1, -(-self.units // max(1, self.per_chunk)))


@dataclass(frozen=True, slots=True)
class Task:
    """A reduction of one launch.

    Attributes:
        element: type of the elements; None for partial states.
        outs: types of the results; none if partial states are written.
        kept: the walk over the results: strides of the input, then of the results.
        over: the walk over the elements of a result.
        offsets: of the tensors.
        n: elements that a result comes from.
        index: type of indices.
    """

    state: State
    element: dtype | None
    outs: tuple[dtype, ...]
    kept: Walk
    over: Walk
    offsets: tuple[int, ...]
    n: int
    index: Index

    def without_outs(self) -> Task:
        """As the first of two launches."""
        kept = Walk(self.kept.sizes, self.kept.strides[:1])
        return Task(self.state, self.element, (), kept, self.over, self.offsets[:1], self.n,
                    self.index)

    def of_parts(self, chunks: int) -> Task:
        """As the second of two launches: partial states of all results, chunk by chunk."""
        strides = Layout.contiguous(self.kept.sizes).strides
        kept = in_memory_order(self.kept.sizes, [strides, *self.kept.strides[1:]])
        over = Walk((chunks,), ((prod(self.kept.sizes),),))
        return Task(
            self.state, None, self.outs, kept, over, (0, *self.offsets[1:]), self.n,
            self.index)


def step_of(
    backend: GeneratedBackend, name: str, task: Task, split: Split, index: int
) -> Step:
    """Compile one launch and list its numbers."""
    results = prod(task.kept.sizes)
    marks = tuple(marks_of(s) for s in task.kept.strides)
    over = marks_of(task.over.strides[0])
    columns = task.kept.sizes[-1] if split.form == "column" else 1
    strips = -(-columns // split.width) if split.form == "column" else 1
    share = results // columns * strips
    size = split.width if split.form == "group" else (
        1 if split.width > 1 else backend.traits(index).group_size)
    chunks: Chunks = (
        "one" if split.chunks == 1 else "units" if split.per_chunk == 1 else "many")
    spec = Reduce(
        name, task.state, task.element, task.outs, split.form, split.width, marks, over,
        _joins(task, split), chunks, split.pieces > 1, task.index, size)
    handle = backend.program(spec, lambda: spec.source(backend.dialect), index)
    count = share * split.chunks
    run = (task.over.sizes or (1,))[-1]
    scalars = (
        count, share, results, split.units, split.per_chunk, split.pieces, split.piece, run,
        task.n, columns, strips, *task.offsets, *task.kept.sizes[1:],
        *given_strides(task.kept.strides, marks), *task.over.sizes[1:],
        *given_strides(task.over.strides, (over,)))
    groups = count if split.form == "group" else -(-count // size)
    return Step(handle, groups, scalars)


def part_sizes(task: Task, chunks: int) -> tuple[int, ...]:
    """Bytes that the states of all chunks take, per number of a state."""
    number = chunks * prod(task.kept.sizes)
    return tuple(number * MEMORY[r].itemsize for r in task.state.registers)


def split_for(task: Task, traits: Traits, is_last: bool = False) -> Split:
    """How to deal out the elements; all of a result to one item or group in a last launch."""
    sizes = task.over.sizes or (1,)
    n, run = prod(sizes), sizes[-1]
    across = task.over.strides[0][-1] if task.over.sizes else 1
    step = task.kept.strides[0][-1] if task.kept.sizes else 0
    if step == 1 and across != 1 and n:
        return _columns(task, traits, n, is_last)
    results = prod(task.kept.sizes)
    form: Form = "row"
    width, enough = _width(task.state, run), ENOUGH
    if traits.lanes > 1 and run >= SHORT:
        form, width, enough = "group", traits.lanes, ENOUGH * 8
    if not is_last and 1 < width <= LONG <= run < n and run <= CHUNK and (
            form == "row" and results * n // run <= PARTS_AT_MOST):
        return Split(form, width, 1, 1, run, n // run)  # a work item without a loop over runs
    is_whole = is_last or results >= enough or n < 2 * CHUNK
    return _cut(form, width, n, run, n if is_whole else CHUNK)


def _cut(form: Form, width: int, n: int, run: int, chunk: int) -> Split:
    """Chunks of about so many elements: some runs, or a piece of one."""
    if chunk >= n:
        units = n // max(1, run)
        return Split(form, width, units, 1, run, units)
    chunk = max(chunk, -(-n // CHUNKS_AT_MOST))
    pieces = max(1, -(-run // chunk))
    units = n // run * pieces
    per_chunk = max(1, chunk // run, -(-units // CHUNKS_AT_MOST))
    return Split(form, width, per_chunk, pieces, min(chunk, run), units)


def _width(state: State, run: int) -> int:
    """Accumulators of a work item along a run: as many as compilers for CPUs make vectors of."""
    if run < SHORT:
        return 1
    return CHOICES if state.selects else SUMMANDS


def _columns(task: Task, traits: Traits, n: int, is_last: bool) -> Split:
    """For results that are neighbours while their elements are not."""
    columns = task.kept.sizes[-1]
    results = prod(task.kept.sizes)
    if traits.lanes > 1:  # neighbouring items read neighbouring columns
        rows = n if is_last else max(BLOCK, -(-n * results // MANY))
        return _cut("row", 1, n, task.over.sizes[-1], rows)
    numbers = (len(task.state.registers) - 1).bit_length()
    width = min(COLUMNS >> numbers, 1 << (columns.bit_length() - 1))
    strips = results // columns * -(-columns // width)
    if is_last or strips >= ENOUGH:
        return Split("column", width, n, 1, 1, n)
    rows = max(BLOCK, 2 * CHUNK // width, -(-n // CHUNKS_AT_MOST))
    return Split("column", width, rows, 1, 1, n)


def _joins(task: Task, split: Split) -> Joins:
    """When accumulators are joined so that none takes many elements in a row."""
    n = prod(task.over.sizes)
    if not task.state.rounds or split.form == "group" or not n:
        return "never"
    if split.form == "column":
        return "steps" if min(split.per_chunk, n) > BLOCK else "never"
    steps = split.piece // split.width
    if steps * min(split.per_chunk, split.units) <= BLOCK:
        return "never"
    return "steps" if steps >= BLOCK // RUNS else "runs"
