"""Matrix products: a team of work items computes a tile of the result, each a block of it.

Every sum runs over the inner dimension in order, so the division into tiles does not show in the
results.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple

from flambeau import dtypes
from flambeau.codegen.block import Block, Buffer, Kernel, KernelSource, Value, is_float, real
from flambeau.codegen.dialects.base import STORAGE, Dialect, Index, Register, register_of
from flambeau.codegen.kernels.indexing import unravel
from flambeau.dtypes import dtype

AT_A_TIME = 16
"""Of the inner dimension, what an item packs."""


def accumulator(what: dtype) -> Register:
    """What products of elements are summed in: narrow integers in 32 bits, halves in f32."""
    register = register_of(STORAGE[what.name])
    return "i32" if register in ("i8", "u8", "i16", "u16", "bool") else register


def panel_dtype(what: dtype) -> dtype:
    """What packed elements are stored as: halves are converted once."""
    return dtypes.float32 if what in (dtypes.float16, dtypes.bfloat16) else what


def zero(block: Block, what: dtype, hint: str) -> Value:
    """A variable for a sum."""
    register = accumulator(what)
    parts = (block.dialect.literal(0, register),) * (2 if what.is_complex else 1)
    return block.variable(Value(register, parts), hint)


def multiply_add(block: Block, total: Value, a: Value, b: Value) -> None:
    """Add a product to a sum."""
    d, register = block.dialect, total.register

    def fused(x: str, y: str, z: str) -> str:
        if is_float(register):
            return d.basic("fma", [x, y, z], register)
        return d.binary("+", z, d.binary("*", x, y, register), register)

    if not total.is_complex:
        block.assign(total, real(register, fused(a.text, b.text, total.text)))
        return
    (ar, ai), (br, bi) = a.parts, b.parts
    minus = d.unary("-", ai, register)
    re, im = total.parts
    block.assign(total, Value(register, (
        fused(minus, bi, fused(ar, br, re)), fused(ai, br, fused(ar, bi, im)))))


class Tile(NamedTuple):
    """How a product is divided.

    Attributes:
        rows, cols: of the block of an item.
        down, across: the items of a team; neighbours have neighbouring columns.
        depth: of the slices of both operands that a team keeps in local memory; 0 for none.
        packed: which operands ("a", "b") are given as panels, written by :class:`Pack`.
    """

    rows: int
    cols: int
    down: int = 1
    across: int = 1
    depth: int = 0
    packed: Literal["", "b", "ab"] = ""

    @property
    def height(self) -> int:
        """Rows of the tile."""
        return self.rows * self.down

    @property
    def width(self) -> int:
        """Columns of the tile."""
        return self.cols * self.across

    @property
    def items(self) -> int:
        """Of a team."""
        return self.down * self.across


class Place(NamedTuple):
    """A row or column of an item's block."""

    in_tile: str
    number: str
    """In the whole result; of the last one where there is no such row."""
    is_own: str
    """Whether it is this item's to write."""


@dataclass(frozen=True, slots=True)
class Matmul:
    """What a kernel is specialised for.

    Attributes:
        dtype: of the elements.
        tile: the division; its team is a group where there are groups.
        batch: dimensions of the batch.
        steps: of the result, a, b and, if there is one, the addend, the strides along rows and
            columns: "1" and "0" where they are known, else "?"; those of packed ones do not count.
        is_narrow: whether there are fewer rows than a tile has, and fewer columns.
        index: type of indices.
        is_scaled: whether the result is ``beta * addend + alpha * product``.
    """

    dtype: dtype
    tile: Tile
    batch: int
    steps: tuple[str, ...]
    is_narrow: tuple[bool, bool]
    index: Index
    is_scaled: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the tensors."""
        return ("out", "a", "b", "addend")[: len(self.steps)]

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result, a, b, the addend; the number of tiles; the
        sizes of the result and of the inner dimension; the tiles along rows and columns; the
        offsets; the sizes of the batch but the first; per tensor its strides along the batch;
        per tensor the strides marked "?"; alpha and beta.
        """
        return Writer(self, dialect).source()


class Writer:
    """The kernel of a :class:`Matmul` under construction."""

    def __init__(self, spec: Matmul, dialect: Dialect) -> None:
        self.spec, self.tile, self.index = spec, spec.tile, spec.index
        kernel = self.kernel = Kernel(dialect, "fb_matmul", spec.tile.items)
        panel = panel_dtype(spec.dtype)
        self.buffers = [
            kernel.buffer(name, panel if name in spec.tile.packed else spec.dtype, name == "out")
            for name in spec.names]
        self.count, self.m, self.n, self.inner, self.tiles_down, self.tiles_across = (
            kernel.scalar(name, self.index)
            for name in ("count", "m", "n", "inner", "tiles_down", "tiles_across"))
        self.starts = [kernel.scalar(f"start_{name}", self.index) for name in spec.names]
        self.sizes = ["", *(
            kernel.scalar(f"size_{d}", self.index) for d in range(1, spec.batch))][: spec.batch]
        self.batch = [
            [kernel.scalar(f"step_{name}_{d}", self.index) for d in range(spec.batch)]
            for name in spec.names]
        self.steps = {
            name: [kernel.scalar(f"step_{name}_{axis}", self.index) if step == "?" else step
                   for axis, step in zip(axes, steps, strict=True)]
            for name, axes, steps in zip(
                spec.names, ("mn", "mk", "kn", "mn"), spec.steps, strict=False)}
        self.factors = [
            real(accumulator(spec.dtype), kernel.scalar(name, accumulator(spec.dtype)))
            for name in ("alpha", "beta") if spec.is_scaled]

    def source(self) -> KernelSource:
        """Write it."""
        kernel, tile = self.kernel, self.tile
        if not kernel.dialect.has_groups:
            with kernel.item(self.count, self.index) as item:
                self.body(item, "0")
        elif tile.depth:  # there is a group per tile, and all of its items reach the barriers
            self.body(kernel.position("group", self.index), kernel.position("local", self.index))
        else:
            team = kernel.position("group", self.index)
            with kernel.when(f"{team} < {self.count}"):
                self.body(team, kernel.position("local", self.index))
        return kernel.finish()

    def body(self, team: str, local: str) -> None:
        """What an item does."""
        kernel, tile = self.kernel, self.tile
        rest = self.let(f"{team} / {self.tiles_down}", "rest")
        row_tile = self.let(f"{team} - {rest} * {self.tiles_down}", "row_tile")
        which = self.let(f"{rest} / {self.tiles_across}", "which")
        col_tile = self.let(f"{rest} - {which} * {self.tiles_across}", "col_tile")
        if self.spec.batch:
            self.starts = unravel(
                kernel, which, self.sizes, self.batch, self.index, self.starts)
        self.local = local
        x = self.let(f"{local} % {tile.across}", "x") if tile.down > 1 else local
        y = self.let(f"{local} / {tile.across}", "y") if tile.down > 1 else "0"
        is_whole = bool(tile.depth)
        row_start = self.first(row_tile, tile.height, self.m, 0, is_whole)
        col_start = self.first(col_tile, tile.width, self.n, 1, is_whole)
        rows = [self.place(*row_start, f"{y} * {tile.rows} + {i}", self.m, 0)
                for i in range(tile.rows)]
        cols = [self.place(*col_start, f"{x} + {j * tile.across}", self.n, 1)
                for j in range(tile.cols)]
        sums = [[zero(kernel, self.spec.dtype, "sum") for _ in cols] for _ in rows]
        if tile.depth:
            tiles = {"a": (row_tile, row_start[0]), "b": (col_tile, col_start[0])}
            self.by_slices(tiles, rows, cols, sums)
        else:
            self.directly(row_tile, col_tile, rows, cols, sums)
        for row, line in zip(rows, sums, strict=True):
            with kernel.when(row.is_own):
                for col, total in zip(cols, line, strict=True):
                    with kernel.when(col.is_own):
                        self.finish(row, col, total)

    # ---- rows and columns --------------------------------------------------------------------
    def first(
        self, tile: str, extent: int, size: str, side: int, is_whole: bool
    ) -> tuple[str, str]:
        """The number of a tile's first row, and of the first that it may write.

        The last tile begins earlier where it would reach beyond the end, unless panels are padded.
        """
        own = self.let(f"{tile} * {extent}", "own")
        if self.spec.is_narrow[side] or "ab"[side] in self.tile.packed or is_whole:
            return own, own
        last = self.let(f"{size} - {extent}", "last")
        return self.let(self.minimum(own, last), "begin"), own

    def place(self, begin: str, own: str, in_tile: str, size: str, side: int) -> Place:
        """A row or column of this item."""
        at = self.let(in_tile, "at")
        number = self.let(f"{begin} + {at}", "place")
        if begin != own:
            return Place(at, number, f"{number} >= {own}")
        is_own = f"{number} < {size}"
        if "ab"[side] not in self.tile.packed:
            number = self.let(self.minimum(number, self.let(f"{size} - 1", "last")), "inside")
        return Place(at, number, is_own)

    # ---- sums --------------------------------------------------------------------------------
    def directly(
        self, row_tile: str, col_tile: str, rows: list[Place], cols: list[Place],
        sums: list[list[Value]],
    ) -> None:
        """Read both operands from global memory."""
        kernel = self.kernel
        from_a = self.reader("a", row_tile, rows)
        from_b = self.reader("b", col_tile, cols)
        with kernel.loop(self.index, "0", self.inner, hint="k") as k:
            right = [read(k) for read in from_b]
            for line, read in zip(sums, from_a, strict=True):
                x = read(k)
                for total, y in zip(line, right, strict=True):
                    multiply_add(kernel, total, x, y)

    def reader(
        self, name: str, tile: str, places: list[Place]
    ) -> list[Callable[[str], Value]]:
        """Per place what loads an element of an operand, given its number along the inner
        dimension."""
        side = "ab".index(name)
        start = self.starts[1 + side]
        step = self.steps[name][1 - side]
        extent = (self.tile.height, self.tile.width)[side]
        buffer = self.buffers[1 + side]
        if name in self.tile.packed:
            start = self.let(f"{start} + {tile} * {self.inner} * {extent}", "panel")
            step = f"{extent}"
            bases = [self.let(f"{start} + {p.in_tile}", f"from_{name}") for p in places]
        else:
            bases = [self.let(along(start, p.number, self.steps[name][side]), f"from_{name}")
                     for p in places]
        return [lambda k, base=base: self.factor(buffer, along(base, k, step))  # type: ignore[misc]
                for base in bases]

    def factor(self, buffer: Buffer, index: str) -> Value:
        """An element in the type of the sum."""
        value = self.kernel.cast(self.kernel.load(buffer, index), accumulator(self.spec.dtype))
        return self.kernel.let(value, "factor")

    def by_slices(
        self, tiles: dict[str, tuple[str, str]], rows: list[Place], cols: list[Place],
        sums: list[list[Value]],
    ) -> None:
        """Bring slices of both operands into local memory, then read them from there."""
        kernel, tile = self.kernel, self.tile
        left = self.shared("slice_a", tile.depth * tile.height)
        right = self.shared("slice_b", tile.depth * tile.width)
        with kernel.loop(self.index, "0", self.inner, f"{tile.depth}", "k") as k:
            self.bring("a", left, *tiles["a"], self.m, k)
            self.bring("b", right, *tiles["b"], self.n, k)
            kernel.barrier()
            with kernel.loop(self.index, "0", f"{tile.depth}", hint="i") as i:
                ys = [self.of_slice(right, f"{i} * {tile.width} + {c.in_tile}") for c in cols]
                for line, r in zip(sums, rows, strict=True):
                    x = self.of_slice(left, f"{i} * {tile.height} + {r.in_tile}")
                    for total, y in zip(line, ys, strict=True):
                        multiply_add(kernel, total, x, y)
            kernel.barrier()

    def shared(self, hint: str, count: int) -> list[str]:
        """Local memory for elements: an array, or one for each part."""
        parts = 2 if self.spec.dtype.is_complex else 1
        return [self.kernel.shared(accumulator(self.spec.dtype), count, hint)
                for _ in range(parts)]

    def bring(
        self, name: str, into: list[str], number: str, begin: str, size: str, k: str
    ) -> None:
        """Copy a slice of a tile, each item some of it, in the order of memory; zeros beyond the
        end."""
        kernel, tile, side = self.kernel, self.tile, "ab".index(name)
        extent = (tile.height, tile.width)[side]
        is_packed = name in tile.packed
        steps = ["1", f"{extent}"][:: 1 - 2 * side] if is_packed else self.steps[name]
        buffer, start = self.buffers[1 + side], self.starts[1 + side]
        if is_packed:
            start = self.let(f"{start} + {number} * {self.inner} * {extent}", "panel")
        for first in range(0, extent * tile.depth, tile.items):
            e = self.let(f"{self.local} + {first}", "e")
            is_last = first + tile.items > extent * tile.depth
            with kernel.when(f"{e} < {extent * tile.depth}") if is_last else nullcontext():
                if steps[1 - side] == "1":
                    t, i = f"{e} / {tile.depth}", f"{e} % {tile.depth}"
                else:
                    t, i = f"{e} % {extent}", f"{e} / {extent}"
                t, i = self.let(t, "t"), self.let(i, "i")
                inner = self.let(f"{k} + {i}", "inner")
                is_inside = f"{inner} < {self.inner}"
                place = t
                if not is_packed:
                    place = self.let(f"{begin} + {t}", "place")
                    is_inside = f"{place} < {size} && {is_inside}"
                    place = self.clamped(place, size)
                base = along(start, place, steps[side])
                value = self.factor(buffer, along(
                    base, self.clamped(inner, self.inner), steps[1 - side]))
                inside = kernel.let(real("bool", is_inside), "is_inside").text
                self.put(into, f"{i} * {extent} + {t}", value, inside)

    def put(self, into: list[str], index: str, value: Value, is_inside: str) -> None:
        """Write to local memory."""
        d = self.kernel.dialect
        nothing = d.literal(0, value.register)
        for array, part in zip(into, value.parts, strict=True):
            chosen = d.select(is_inside, part, nothing, value.register)
            self.kernel.line(f"{array}[{index}] = {chosen};")

    def of_slice(self, arrays: list[str], index: str) -> Value:
        """Read from local memory."""
        parts = tuple(f"{array}[{index}]" for array in arrays)
        return self.kernel.let(Value(accumulator(self.spec.dtype), parts), "factor")

    # ---- results -----------------------------------------------------------------------------
    def finish(self, row: Place, col: Place, total: Value) -> None:
        """Write an element of the result."""
        if self.factors:
            total = self.times(total, self.factors[0])
        if len(self.spec.steps) > 3:
            more = self.factor(self.buffers[3], self.element("addend", row, col))
            more = self.times(more, self.factors[1]) if self.factors else more
            d = self.kernel.dialect
            total = Value(total.register, tuple(
                d.binary("+", x, y, total.register)
                for x, y in zip(total.parts, more.parts, strict=True)))
        self.kernel.store(self.buffers[0], self.element("out", row, col), total)

    def times(self, value: Value, factor: Value) -> Value:
        """Scaled by a real number."""
        d, register = self.kernel.dialect, value.register
        return Value(register, tuple(
            d.binary("*", part, factor.text, register) for part in value.parts))

    def element(self, name: str, row: Place, col: Place) -> str:
        """The index of an element of the result or the addend."""
        steps = self.steps[name]
        start = self.starts[self.spec.names.index(name)]
        return along(along(start, row.number, steps[0]), col.number, steps[1])

    # ---- indices -----------------------------------------------------------------------------
    def let(self, text: str, hint: str) -> str:
        """An index under a name."""
        return self.kernel.integer(text, self.index, hint)

    def minimum(self, a: str, b: str) -> str:
        """Of two indices."""
        return self.kernel.dialect.basic("min", [a, b], self.index)

    def clamped(self, number: str, size: str) -> str:
        """A number, or the last one."""
        return self.let(self.minimum(number, self.let(f"{size} - 1", "last")), "inside")


def along(start: str, number: str, step: str) -> str:
    """The index of an element along a dimension."""
    if step == "0":
        return start
    return f"{start} + {number}" if step == "1" else f"{start} + {number} * {step}"


def team(kernel: Kernel, item: str, size: int, index: Index) -> tuple[str, str]:
    """The team of an item, and its number in the team.

    Where there are groups a team is one, and compilers know what is the same for all of it.
    """
    if kernel.dialect.has_groups:
        return kernel.position("group", index), kernel.position("local", index)
    number = kernel.integer(f"{item} / {size}", index, "team")
    return number, kernel.integer(f"{item} - {number} * {size}", index, "local")


@dataclass(frozen=True, slots=True)
class Pack:
    """A kernel that copies an operand into panels.

    A panel has the rows of a tile (of b: its columns), padded with zeros, side by side for each
    element of the inner dimension.

    Attributes:
        dtype: of the operand.
        width: of a panel.
        batch: dimensions of the batch.
        steps: along the rows and the inner dimension, as in :class:`Matmul`.
        index: type of indices.
    """

    dtype: dtype
    width: int
    batch: int
    steps: str
    index: Index

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        A team of ``width`` items copies a piece of a panel.  The arguments are: the buffers of the
        panels and of the operand; the number of items; the rows, the inner size, pieces of it,
        panels; the offset; the sizes of the batch but the first; the strides along the batch, and
        those marked "?".
        """
        kernel, index = Kernel(dialect, "fb_pack", self.width), self.index
        panels = kernel.buffer("panels", panel_dtype(self.dtype), True)
        operand = kernel.buffer("operand", self.dtype)
        count, size, inner, pieces, tiles, start = (
            kernel.scalar(name, index)
            for name in ("count", "size", "inner", "pieces", "tiles", "start"))
        sizes = ["", *(kernel.scalar(f"size_{d}", index) for d in range(1, self.batch))]
        batch = [kernel.scalar(f"step_{d}", index) for d in range(self.batch)]
        along_rows, along_inner = (
            kernel.scalar(f"step_{axis}", index) if step == "?" else step
            for axis, step in zip(("row", "inner"), self.steps, strict=True))
        with kernel.item(count, index) as item:
            piece, t = team(kernel, item, self.width, index)
            panel = kernel.integer(f"{piece} / {pieces}", index, "panel")
            first = kernel.integer(
                f"({piece} - {panel} * {pieces}) * {AT_A_TIME}", index, "first")
            which = kernel.integer(f"{panel} / {tiles}", index, "which")
            tile = kernel.integer(f"{panel} - {which} * {tiles}", index, "tile")
            row = kernel.integer(f"{tile} * {self.width} + {t}", index, "row")
            last = kernel.integer(f"{size} - 1", index, "last")
            inside = kernel.integer(
                dialect.basic("min", [row, last], index), index, "inside")
            if self.batch:
                (start,) = unravel(kernel, which, sizes[: self.batch], [batch], index, [start])
            base = kernel.integer(along(start, inside, along_rows), index, "base")
            end = kernel.integer(
                dialect.basic("min", [f"({first} + {AT_A_TIME})", inner], index), index, "end")
            is_inside = kernel.let(real("bool", f"{row} < {size}"), "is_inside").text
            with kernel.loop(index, first, end, hint="k") as k:
                value = kernel.load(operand, along(base, k, along_inner))
                nothing = dialect.literal(0, value.register)
                kernel.store(
                    panels, f"({panel} * {inner} + {k}) * {self.width} + {t}",
                    Value(value.register, tuple(
                        dialect.select(is_inside, part, nothing, value.register)
                        for part in value.parts)))
        return kernel.finish()
