"""Elements at places that tensors of indices name: reading, writing, adding.

The elements of a dense side (``value``) and those of a ``table`` are walked together.  Where an
element of the table lies depends on the walk and, in some dimensions, on indices.  An index out of
range sets a flag and never touches memory outside the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

from flambeau import dtypes
from flambeau.codegen.block import Buffer, Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import STORAGE, Dialect, Index, register_of
from flambeau.codegen.kernels.indexing import unravel
from flambeau.dtypes import dtype

Action: TypeAlias = Literal["read", "set", "add", "atomic"]
"""What happens to an element of the table: it goes to ``value``, is replaced by it, or has it
added: by nobody else at the same time, or atomically."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a kernel is specialised for.

    Attributes:
        name: of the op.
        action: see :data:`Action`.
        table, value: element types; a value of None is a number.
        indices: their element types.
        items: how many of the dimensions, outermost first, the work items stand for; each item
            loops over the others.
        steps: of the table, of the value if it is a tensor, and of the indices: per dimension "1"
            and "0" for strides that are known, and "?" for those given as arguments.
        index: type of places in memory.
        group_size: work items per group.
        wraps: whether negative indices count from the end.
        skips: whether places with a certain index are left alone.
        width: how many neighbouring elements, of one type, are handled at each place.
    """

    name: str
    action: Action
    table: dtype
    value: dtype | None
    indices: tuple[dtype, ...]
    items: int
    steps: tuple[str, ...]
    index: Index
    group_size: int
    wraps: bool = False
    skips: bool = False
    width: int = 1

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the table, of the value if it is a tensor, of the
        indices, and of the two flags; the number of items; the offsets of all tensors but the
        flags; the sizes of all dimensions but the first of the items; per tensor the strides
        marked "?"; per index the size and the stride of its dimension of the table; the number
        that the first flag is set to; the index that is skipped; the value if it is a number.
        """
        return _Writer(self, Kernel(dialect, f"fb_{self.name}", self.group_size)).source()


class _Writer:
    """The kernel of a specification, under construction."""

    def __init__(self, spec: Indexed, kernel: Kernel) -> None:
        self.spec, self.kernel, reads = spec, kernel, spec.action == "read"
        self.table = kernel.buffer("table", spec.table, not reads)
        self.value: Buffer | None = None
        if spec.value is not None:
            self.value = kernel.buffer("value", spec.value, reads)
        self.indices = [
            kernel.buffer(f"index_{k}", what) for k, what in enumerate(spec.indices)]
        self.flags = kernel.buffer("flags", dtypes.int32, True)
        index: Index = spec.index
        self.count = kernel.scalar("count", index)
        names = ["table", *(["value"] if self.value else []), *(b.parameter.name
                                                               for b in self.indices)]
        self.starts = [kernel.scalar(f"start_{name}", index) for name in names]
        first = 1 if spec.items else 0
        sizes = [kernel.scalar(f"size_{d}", index) for d in range(first, len(spec.steps[0]))]
        self.sizes = ["", *sizes] if first else sizes
        self.strides = [
            kernel.strides(name, steps, index)
            for name, steps in zip(names, spec.steps, strict=True)]
        self.extents = [
            (kernel.scalar(f"extent_{k}", b.register), kernel.scalar(f"jump_{k}", index))
            for k, b in enumerate(self.indices)]
        self.code = kernel.scalar("code", "i32")
        self.skip = kernel.scalar("skip", self.indices[0].register) if spec.skips else ""
        self.number = None if self.value else self.constant()
        self.indexed_to = max(
            (d + 1 for steps in spec.steps[-len(self.indices):]
             for d, step in enumerate(steps) if step != "0"), default=0)
        """From this dimension on, the indices stay the same."""

    def constant(self) -> Value:
        """The value as a number among the arguments."""
        register = register_of(STORAGE[self.spec.table.name])
        suffixes = ("_re", "_im") if self.spec.table.is_complex else ("",)
        return Value(register, tuple(
            self.kernel.scalar(f"number{suffix}", register) for suffix in suffixes))

    def source(self) -> KernelSource:
        """The text."""
        kernel, items = self.kernel, self.spec.items
        with kernel.item(self.count, self.spec.index) as item:
            places = unravel(
                kernel, item, self.sizes[:items], [s[:items] for s in self.strides],
                self.spec.index, self.starts)
            self.nest(items, places, items >= self.indexed_to)
        return kernel.finish()

    def nest(self, d: int, places: list[str], is_known: bool, is_found: bool = False) -> None:
        """Loops from a dimension on.

        Args:
            places: in the table, the value and the indices, so far.
            is_known: whether the indices can be read.
            is_found: whether they are part of the table's place.
        """
        if is_known and not is_found:
            with self.found(places) as at:
                self.nest(d, [at, *places[1:]], True, True)
            return
        if d == len(self.sizes):
            self.act(places[0], places[1] if self.value else "")
            return
        with self.kernel.loop(self.spec.index, "0", self.sizes[d]) as i:
            self.nest(d + 1, self.moved(places, i, d, is_found), d + 1 >= self.indexed_to, is_found)

    def moved(self, places: Sequence[str], i: str, d: int, is_found: bool) -> list[str]:
        """The places at a value of a loop's variable; those of indices only until they are read."""
        result = list(places)
        needed = len(places) - len(self.indices) if is_found else len(places)
        for k in range(needed):
            step = self.strides[k][d]
            if step != "0":
                term = i if step == "1" else f"{i} * {step}"
                result[k] = self.kernel.integer(f"{places[k]} + {term}", self.spec.index, "p")
        return result

    @contextmanager
    def found(self, places: Sequence[str]) -> Iterator[str]:
        """What is done at the place in the table that the indices name."""
        kernel, d, reads = self.kernel, self.kernel.dialect, self.spec.action == "read"
        terms, tests = [places[0]], []
        for k, buffer in enumerate(self.indices):
            at, is_inside = self.loaded(buffer, places[k - len(self.indices)], k)
            if reads:
                at = d.select(is_inside, at, d.literal(0, buffer.register), buffer.register)
            else:
                tests.append(is_inside)
            at = d.cast(at, buffer.register, self.spec.index)
            terms.append(f"{at} * {self.extents[k][1]}")
        while len(tests) > 1:
            tests[:2] = [d.binary("&", tests[0], tests[1], "bool")]
        with kernel.when(tests[0]) if tests else nullcontext():
            yield kernel.integer(" + ".join(terms), self.spec.index, "at")

    def loaded(self, buffer: Buffer, place: str, k: int) -> tuple[str, str]:
        """An index, and whether it is to be used; sets the flags if it is out of range."""
        kernel, d, register = self.kernel, self.kernel.dialect, buffer.register
        extent, zero = self.extents[k][0], d.literal(0, register)
        given = at = kernel.load(buffer, place).text
        if self.spec.wraps:
            at = kernel.integer(d.select(
                d.compare("<", at, zero, register), d.binary("+", at, extent, register), at,
                register), register, "wrapped")
        is_inside = kernel.let(real("bool", d.binary(
            "&", d.compare(">=", at, zero, register), d.compare("<", at, extent, register),
            "bool")), "inside").text
        with kernel.when(d.unary("!", is_inside, "bool")):
            kernel.store(self.flags, "0", real("i32", self.code))
            kernel.store(self.flags, "1", real(register, given))
        if self.skip:
            is_inside = kernel.let(real("bool", d.binary(
                "&", is_inside, d.compare("!=", at, self.skip, register), "bool")), "used").text
        return at, is_inside

    def act(self, at: str, place: str) -> None:
        """Read, write or add one element."""
        kernel = self.kernel
        if self.spec.width > 1:
            self.vector(at, place)
            return
        if self.spec.action == "read":
            assert self.value is not None
            kernel.store(self.value, place, kernel.load(self.table, at))
            return
        value = self.number or kernel.load(self.value or self.table, place)
        value = kernel.cast(value, self.table.register)
        if self.spec.action == "atomic":
            kernel.atomic_add(self.table, at, value)
            return
        if self.spec.action == "add":
            value = self.sum(kernel.load(self.table, at), value)
        kernel.store(self.table, at, value)

    def vector(self, at: str, place: str) -> None:
        """Read, write or add neighbouring elements."""
        assert self.value is not None
        table, value, spec = (self.table.parameter, at), (self.value.parameter, place), self.spec
        (target, to), (source, at) = (value, table) if spec.action == "read" else (table, value)
        for line in self.kernel.dialect.vector(
                target, to, source, at, spec.width, spec.action == "add"):
            self.kernel.line(line)

    def sum(self, a: Value, b: Value) -> Value:
        """Of two elements; of bools whether one of them holds."""
        operator = "|" if a.register == "bool" else "+"
        return Value(a.register, tuple(
            self.kernel.dialect.binary(operator, x, y, a.register)
            for x, y in zip(a.parts, b.parts, strict=True)))
