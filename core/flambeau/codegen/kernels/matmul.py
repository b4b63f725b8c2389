"""Matrix products: a team of work items computes a tile of the result, each a block of it.

Sums run over the inner dimension in order, so the division into tiles does not show in the
results; only those of single elements, products of vectors, are computed in parts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple

from flambeau.codegen.block import Buffer, Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index
from flambeau.codegen.kernels.indexing import unravel
from flambeau.codegen.kernels.panels import along, panel_dtype
from flambeau.codegen.kernels.sums import accumulator, multiply_add, zero
from flambeau.dtypes import dtype


class Tile(NamedTuple):
    """How a product is divided.

    Attributes:
        rows, cols: of the block of an item.
        down, across: the items of a team; neighbours have neighbouring columns.
        depth: of the slices of both operands that a team keeps in local memory; 0 for none.
        packed: which operands ("a", "b") are given as panels, written by
            :class:`flambeau.codegen.kernels.panels.Pack`.
        chains: sums over every so many-th product that an item computes side by side; more than
            one only for blocks of one element.
        is_shared: whether the team shares the sum of one element.
    """

    rows: int
    cols: int
    down: int = 1
    across: int = 1
    depth: int = 0
    packed: Literal["", "b", "ab"] = ""
    chains: int = 1
    is_shared: bool = False

    @property
    def height(self) -> int:
        """Rows of the tile."""
        return 1 if self.is_shared else self.rows * self.down

    @property
    def width(self) -> int:
        """Columns of the tile."""
        return 1 if self.is_shared else self.cols * self.across

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
        elif tile.depth or tile.is_shared:  # a group per tile: all items reach the barriers
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
        x, y = ("0", "0") if tile.is_shared else (local, "0")
        if tile.down > 1 and not tile.is_shared:
            x = self.let(f"{local} % {tile.across}", "x")
            y = self.let(f"{local} / {tile.across}", "y")
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
        elif tile.is_shared or tile.chains > 1:
            self.in_parts(rows[0], cols[0], sums[0][0])
        else:
            self.directly(row_tile, col_tile, rows, cols, sums)
        if tile.is_shared:
            rows = [rows[0]._replace(is_own=f"{local} == 0 && {rows[0].is_own}")]
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

    def in_parts(self, row: Place, col: Place, total: Value) -> None:
        """The sum of one element from several sums."""
        kernel, tile = self.kernel, self.tile
        (read_a,), (read_b,) = self.reader("a", "0", [row]), self.reader("b", "0", [col])
        if tile.is_shared:
            with kernel.loop(self.index, self.local, self.inner, f"{tile.items}", "k") as k:
                multiply_add(kernel, total, read_a(k), read_b(k))
            self.joined(total)
            return
        rest = self.let(f"{self.inner} - {self.inner} % {tile.chains}", "rest")
        chains = [total, *(
            zero(kernel, self.spec.dtype, "chain") for _ in range(1, tile.chains))]
        with kernel.loop(self.index, "0", rest, f"{tile.chains}", "k") as k:
            for i, chain in enumerate(chains):
                at = self.let(f"{k} + {i}", "at")
                multiply_add(kernel, chain, read_a(at), read_b(at))
        with kernel.loop(self.index, rest, self.inner, hint="k") as k:
            multiply_add(kernel, total, read_a(k), read_b(k))
        half = tile.chains // 2
        while half:
            for i in range(half):
                kernel.assign(chains[i], self.plus(chains[i], chains[i + half]))
            half //= 2

    def joined(self, total: Value) -> None:
        """The sum of what the items of the team have, for the first of them."""
        kernel, items = self.kernel, self.tile.items
        arrays = self.shared("sums", items)
        for array, part in zip(arrays, total.parts, strict=True):
            kernel.line(f"{array}[{self.local}] = {part};")
        kernel.barrier()
        half = items // 2
        while half:
            with kernel.when(f"{self.local} < {half}"):
                kernel.assign(total, self.plus(
                    total, self.of_slice(arrays, f"{self.local} + {half}")))
                for array, part in zip(arrays, total.parts, strict=True):
                    kernel.line(f"{array}[{self.local}] = {part};")
            kernel.barrier()
            half //= 2

    def plus(self, a: Value, b: Value) -> Value:
        """A sum."""
        return Value(a.register, tuple(
            self.kernel.dialect.binary("+", x, y, a.register)
            for x, y in zip(a.parts, b.parts, strict=True)))

    # ---- results -----------------------------------------------------------------------------
    def finish(self, row: Place, col: Place, total: Value) -> None:
        """Write an element of the result."""
        if self.factors:
            total = self.times(total, self.factors[0])
        if len(self.spec.steps) > 3:
            more = self.factor(self.buffers[3], self.element("addend", row, col))
            more = self.times(more, self.factors[1]) if self.factors else more
            total = self.plus(total, more)
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
