"""A stable merge sort of rows: runs sorted by one work item each, then merged in pairs.

A work item writes a stretch of a merged pair; it finds where the stretch begins in both runs by
bisection (the merge path of Odeh, Green, Mwassi, Shmueli and Birk 2012), so that all merges are
divided into equal parts however few pairs there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from flambeau.codegen.block import Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index, Register
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.reduce import MEMORY
from flambeau.codegen.scalar import Scalars
from flambeau.dtypes import dtype

RUN: Final = 32
"""Elements that a work item sorts by itself."""
ASCENDING: Final = "x < y || isnan(y) && !isnan(x)"
DESCENDING: Final = "x > y || isnan(x) && !isnan(y)"
"""Whether x stands strictly before y."""


class Pair(NamedTuple):
    """A value, and where it was in its row."""

    value: Value
    place: str


@dataclass(frozen=True, slots=True)
class Sort:
    """What a kernel is specialised for.

    Attributes:
        element: type of the values.
        descending: the order.
        merges: whether runs are merged, else made.
        kept: per tensor that is not temporary (the input if runs are made, the two results if
            ``is_last``) the strides from row to row ("0", "1", "?").
        along: per such tensor the stride along rows.
        is_last: whether the results are written, else temporary rows.
        index: type of indices.
        group_size: work items per group.
    """

    element: dtype
    descending: bool
    merges: bool
    kept: tuple[str, ...]
    along: str
    is_last: bool
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffer of the input, or those of values and places in temporary
        rows; those of values and places that are written.  Then the number of work items; of
        elements of a row; the length of a run; for merges the length of a stretch, and how many
        stretches a row has.  The offset of each tensor that is not temporary.  The sizes of the
        kept dimensions but the first, and strides marked "?" per such tensor.  Strides along the
        rows marked "?".
        """
        return _Writer(self, dialect).write()


class _Writer:
    """One kernel under construction."""

    def __init__(self, spec: Sort, dialect: Dialect) -> None:
        self.spec, self.index = spec, spec.index
        name = f"fb_sort_{'merge' if spec.merges else 'runs'}"
        self.kernel = kernel = Kernel(dialect, name, spec.group_size)
        places = MEMORY[spec.index]
        self.ins = [kernel.buffer("in_values", spec.element)]
        if spec.merges:
            self.ins.append(kernel.buffer("in_places", places))
        self.outs = [kernel.buffer("values", spec.element, True),
                     kernel.buffer("places", MEMORY["i64"] if spec.is_last else places, True)]
        for word in ("count", "n", "run", "stretch", "stretches"):
            kernel.scalar(word, self.index)
        tensors = range(len(spec.kept))
        ndim = len(spec.kept[0]) if spec.kept else 0
        self.starts = [kernel.scalar(f"start_{t}", self.index) for t in tensors]
        self.sizes = ["", *(kernel.scalar(f"size_{d}", self.index) for d in range(1, ndim))][:ndim]
        self.kept = [self.strides(f"kept_{t}", marks) for t, marks in enumerate(spec.kept)]
        self.along = self.strides("along", spec.along)
        self.register: Register = self.ins[0].register

    def strides(self, name: str, marks: str) -> list[str]:
        """Strides, known or given."""
        return self.kernel.strides(name, marks, self.index)

    def integer(self, text: str, hint: str = "i") -> str:
        """An index under a name."""
        return self.kernel.integer(text, self.index, hint)

    def smaller(self, a: str, b: str, hint: str = "stop") -> str:
        """The smaller of two indices."""
        a, b = self.integer(a), self.integer(b)
        return self.integer(self.kernel.dialect.select(f"{a} < {b}", a, b, self.index), hint)

    def write(self) -> KernelSource:
        """The text."""
        with self.kernel.item("count", self.index) as item:
            row = self.integer(f"{item} / stretches", "row")
            part = self.integer(f"{item} - {row} * stretches", "part")
            places = unravel(
                self.kernel, row, self.sizes, self.kept, self.index, self.starts)
            if self.spec.merges:
                self.merge(row, part, places)
            else:
                self.make_run(row, part, places)
        return self.kernel.finish()

    def before(self, x: Value, y: Value) -> str:
        """Whether x stands strictly before y; bools are ordered as numbers."""
        kernel = self.kernel
        if self.register == "bool":
            x, y = kernel.cast(x, "i32"), kernel.cast(y, "i32")
        formula = DESCENDING if self.spec.descending else ASCENDING
        floating: Register = "f64" if self.register == "f64" else "f32"
        scalars = Scalars(kernel, floating, x.register, {"x": x, "y": y})
        return kernel.let(scalars.evaluate(formula), "before").text

    # ---- runs --------------------------------------------------------------------------------
    def make_run(self, row: str, part: str, places: Sequence[str]) -> None:
        """Sort a few elements by insertion, in private memory."""
        kernel, index = self.kernel, self.index
        values, indices = kernel.fresh("values"), kernel.fresh("indices")
        kernel.line(kernel.dialect.array(self.register, values, RUN))
        kernel.line(kernel.dialect.array(index, indices, RUN))
        first = self.integer(f"{part} * run", "first")
        count = self.smaller("run", f"n - {first}", "length")
        with kernel.loop(index, "0", count, hint="at") as at:
            place = self.integer(f"{first} + {at}", "place")
            x = kernel.load(self.ins[0], _moved(places[0], place, self.along[0]))
            hole = kernel.variable(real(index, at), "hole").text
            moves = kernel.variable(real("bool", f"{hole} > 0"), "moves").text
            with kernel.while_(moves):
                y = kernel.let(real(self.register, f"{values}[{hole} - 1]"), "y")
                is_before = self.before(x, y)
                with kernel.when(is_before):
                    kernel.line(f"{values}[{hole}] = {y.text};")
                    kernel.line(f"{indices}[{hole}] = {indices}[{hole} - 1];")
                    kernel.line(f"{hole} = {hole} - 1;")
                kernel.line(f"{moves} = " + kernel.dialect.binary(
                    "&", is_before, f"({hole} > 0)", "bool") + ";")
            kernel.line(f"{values}[{hole}] = {x.text};")
            kernel.line(f"{indices}[{hole}] = {place};")
        with kernel.loop(index, "0", count, hint="at") as at:
            pair = Pair(real(self.register, f"{values}[{at}]"), f"{indices}[{at}]")
            self.store(pair, row, f"{first} + {at}", places[1:])

    # ---- merges ------------------------------------------------------------------------------
    def merge(self, row: str, part: str, places: Sequence[str]) -> None:
        """Write a stretch of a row of which pairs of runs are merged."""
        kernel, index = self.kernel, self.index
        begin = self.integer(f"{part} * stretch", "begin")
        end = self.smaller(f"{begin} + stretch", "n", "end")
        # A stretch lies within one pair: runs are multiples of stretches, or the other way round
        # the stretch is cut down to a pair.
        pair = self.integer(f"{begin} / (2 * run) * (2 * run)", "pair")
        left = self.integer(f"{row} * n + {pair}", "left")
        left_count = self.smaller("run", f"n - {pair}", "left_count")
        right = self.integer(f"{left} + {left_count}", "right")
        right_count = self.smaller("run", f"n - {pair} - {left_count}", "right_count")
        i = self.bisect(f"{begin} - {pair}", left, left_count, right, right_count)
        j = kernel.variable(real(index, f"{begin} - {pair} - {i}"), "j").text
        last_left = self.integer(f"{left_count} - 1", "last")
        last_right = self.integer(f"{right_count} - 1", "last")
        with kernel.loop(index, begin, end, hint="at") as at:
            a_at = self.integer(f"{left} + {self.smaller(i, last_left, 'a')}", "a")
            b_at = self.integer(f"{right} + {self.smaller(j, last_right, 'b')}", "b")
            a, b = (kernel.load(self.ins[0], place) for place in (a_at, b_at))
            wins = kernel.dialect.binary(
                "|", f"({i} >= {left_count})", self.before(b, a), "bool")
            takes = kernel.let(real("bool", kernel.dialect.binary(
                "&", f"({j} < {right_count})", wins, "bool")), "takes").text
            select = kernel.dialect.select
            source = self.integer(select(takes, b_at, a_at, index), "source")
            value = real(self.register, select(takes, b.text, a.text, self.register))
            self.store(Pair(value, kernel.load(self.ins[1], source).text), row, at, places)
            kernel.line(f"{i} = {i} + {select(takes, '0', '1', index)};")
            kernel.line(f"{j} = {j} + {select(takes, '1', '0', index)};")

    def bisect(
        self, diagonal: str, left: str, left_count: str, right: str, right_count: str
    ) -> str:
        """How many of the first elements of a merged pair come from the left run; a variable."""
        kernel, index = self.kernel, self.index
        d = self.integer(diagonal, "diagonal")
        least = self.integer(f"{d} - {right_count}", "least")
        low = kernel.variable(real(index, kernel.dialect.select(
            f"{least} > 0", least, "0", index)), "low").text
        high = kernel.variable(real(index, self.smaller(d, left_count)), "high").text
        with kernel.while_(f"{low} < {high}"):
            middle = self.integer(f"({low} + {high}) / 2", "middle")
            a = kernel.load(self.ins[0], f"{left} + {middle}")
            b = kernel.load(self.ins[0], f"{right} + {d} - 1 - {middle}")
            is_before = self.before(b, a)
            select = kernel.dialect.select
            kernel.line(f"{high} = {select(is_before, middle, high, index)};")
            kernel.line(f"{low} = {select(is_before, low, f'{middle} + 1', index)};")
        return low

    def store(self, pair: Pair, row: str, at: str, places: Sequence[str]) -> None:
        """Write a value and its place to a place of a row."""
        kernel, spec = self.kernel, self.spec
        at = self.integer(at, "at")
        if spec.is_last:
            steps = self.along[-2:]
            where = [_moved(place, at, step)
                     for place, step in zip(places[-2:], steps, strict=True)]
        else:
            where = [self.integer(f"{row} * n + {at}", "to")] * 2
        kernel.store(self.outs[0], where[0], pair.value)
        kernel.store(self.outs[1], where[1], real(self.index, pair.place))


def _moved(place: str, at: str, step: str) -> str:
    if step == "0":
        return place
    return f"{place} + {at}" if step == "1" else f"{place} + ({at}) * {step}"
