"""One result element from the elements at the same place: a formula over tensors and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flambeau.codegen.block import Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index, Register
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.scalar import Scalars
from flambeau.dtypes import dtype


@dataclass(frozen=True, slots=True)
class Input:
    """An argument of the formula."""

    name: str
    dtype: dtype | None
    """Of a tensor's elements; None for a number."""
    number: Register = "f32"
    """What a number is given as."""
    is_complex: bool = False
    """Whether a number has two parts."""


@dataclass(frozen=True, slots=True)
class Pointwise:
    """What a kernel is specialised for.

    Attributes:
        name: of the op.
        formula: over the inputs' names, and ``i``, the number of the element, if ``counts``.
        inputs: tensors and numbers in order.
        out: element type of the result.
        floating, integer: what is computed in.
        steps: per tensor, the result first, and per dimension "1" and "0" for strides that are
            known, and "?" for those given as arguments.
        index: type of indices.
        group_size: work items per group.
        counts: whether the formula knows the number of the element.
        per_item: elements that an item handles, if there is at most one dimension; neighbouring
            items handle neighbouring elements.
        by_rows: whether a group handles a stretch of the last dimension of several, so that the
            whole group finds its row with one division.
        band: of how many rows, one after the other; more than 1 where a tensor is walked across its
            memory order, so that what the cache holds is used before it goes.
    """

    name: str
    formula: str
    inputs: tuple[Input, ...]
    out: dtype
    floating: Register
    integer: Register
    steps: tuple[str, ...]
    index: Index
    group_size: int
    counts: bool = False
    per_item: int = 1
    by_rows: bool = False
    band: int = 1

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result and of the tensors; the number of elements, or
        that of groups per row; their offsets; the sizes of all dimensions but the first; per tensor
        the strides marked "?"; the number of rows if a group handles several; the numbers (the
        parts of complex ones).
        """
        kernel = Kernel(dialect, f"fb_{self.name}", self.group_size)
        tensors = [x for x in self.inputs if x.dtype is not None]
        buffers = [kernel.buffer("out", self.out, True)]
        buffers += [kernel.buffer(f"in_{x.name}", x.dtype) for x in tensors if x.dtype is not None]
        index: Index = self.index
        count = kernel.scalar("count", index)
        names = ["out", *(x.name for x in tensors)]
        starts = [kernel.scalar(f"start_{name}", index) for name in names]
        ndim = len(self.steps[0])
        sizes = ["", *(kernel.scalar(f"size_{d}", index) for d in range(1, ndim))][:ndim]
        strides = [
            kernel.strides(name, steps, index)
            for name, steps in zip(names, self.steps, strict=True)
        ]
        rows = kernel.scalar("rows", index) if self.band > 1 else ""
        numbers = self.numbers(kernel)

        def elements(items: Sequence[str], row: str = "") -> None:
            """Handle elements: first all are read, because they may be where results go."""
            found = []
            for item in items:
                places = self.along(kernel, row, item, sizes, strides, starts) if row else (
                    unravel(kernel, item, sizes, strides, self.index, starts))
                values = dict(numbers)
                for x, buffer, place in zip(tensors, buffers[1:], places[1:], strict=True):
                    values[x.name] = kernel.load(buffer, place)
                if self.counts:
                    values["i"] = kernel.cast(real(self.index, item), self.integer)
                found.append((places[0], values))
            for place, values in found:
                scalars = Scalars(kernel, self.floating, self.integer, values)
                kernel.store(buffers[0], place, kernel.let(scalars.evaluate(self.formula), "y"))

        if self.by_rows:
            group, local = kernel.position("group", index), kernel.position("local", index)
            row = kernel.integer(f"{group} / {count}", index, "row")
            at = kernel.integer(
                f"({group} - {row} * {count}) * {self.group_size} + {local}", index, "at")
            with kernel.when(f"{at} < {sizes[-1]}"):
                if self.band == 1:
                    elements([at], row)
                else:
                    first = kernel.integer(f"{row} * {self.band}", index, "first")
                    end = kernel.dialect.basic(
                        "min", [f"({first} + {self.band})", rows], index)
                    stop = kernel.integer(end, index, "stop")
                    with kernel.loop(index, first, stop) as r:
                        elements([at], r)
        elif self.per_item == 1:
            with kernel.item(count, index) as item:
                elements([item])
        else:
            self.several(kernel, count, elements)
        return kernel.finish()

    def along(
        self, kernel: Kernel, row: str, at: str, sizes: Sequence[str],
        strides: Sequence[Sequence[str]], starts: Sequence[str],
    ) -> list[str]:
        """The places of an element of a row."""
        places = unravel(
            kernel, row, sizes[:-1], [s[:-1] for s in strides], self.index, starts)
        return [
            place if steps[-1] == "0" else kernel.integer(
                f"{place} + {at}" if steps[-1] == "1" else f"{place} + {at} * {steps[-1]}",
                self.index, "p")
            for place, steps in zip(places, strides, strict=True)]

    def several(
        self, kernel: Kernel, count: str, elements: Callable[[Sequence[str]], None]
    ) -> None:
        """A stretch of elements for each group, of which the last may be cut short."""
        size = self.group_size
        group, local = kernel.position("group", self.index), kernel.position("local", self.index)
        first = kernel.integer(f"{group} * {size * self.per_item} + {local}", self.index, "first")
        last = kernel.integer(f"{first} + {size * (self.per_item - 1)}", self.index, "last")
        with kernel.when(f"{last} < {count}"):
            elements([first, *(
                kernel.integer(f"{first} + {size * k}", self.index, "item")
                for k in range(1, self.per_item))])
        with kernel.when(f"{last} >= {count}"), kernel.loop(
                self.index, first, count, str(size)) as item:
            elements([item])

    def numbers(self, kernel: Kernel) -> dict[str, Value]:
        """The inputs that are numbers."""
        values = {}
        for x in self.inputs:
            if x.dtype is None:
                suffixes = ("_re", "_im") if x.is_complex else ("",)
                values[x.name] = Value(x.number, tuple(
                    kernel.scalar(f"number_{x.name}{s}", x.number)
                    for s in suffixes))
        return values
