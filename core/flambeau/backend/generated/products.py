"""How matrix products are carried out: looking at layouts, dividing, packing, launching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from flambeau.backend import broadcast_shapes
from flambeau.backend.generated.steps import Steps
from flambeau.codegen.dialects.base import Index
from flambeau.codegen.kernels.indexing import collapse, index_register
from flambeau.codegen.kernels.matmul import Matmul, Tile
from flambeau.codegen.kernels.panels import AT_A_TIME, Pack, panel_dtype
from flambeau.dtypes import dtype
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend, Traits

MEASURED: Final = 1 << 29
"""Operations from which on divisions are measured."""


# ---- looking at layouts ------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Operands:
    """A product as a batch of matrix products; per tensor (the result, a, b, the addend) tuples.

    Attributes:
        m, n, k: sizes of the result and of the inner dimension.
        sizes: of the batch, as few dimensions as possible.
        batch: strides along them.
        steps: of the result along m and n, of a along m and k, of b along k and n, of the addend
            along m and n.
        offsets: in elements.
        is_turned: whether the result is transposed, and a and b have changed places.
    """

    m: int
    n: int
    k: int
    sizes: tuple[int, ...]
    batch: tuple[tuple[int, ...], ...]
    steps: tuple[tuple[int, int], ...]
    offsets: tuple[int, ...]
    is_turned: bool = False

    @property
    def extents(self) -> tuple[tuple[int, int], ...]:
        """The sizes along the steps."""
        all_ = ((self.m, self.n), (self.m, self.k), (self.k, self.n), (self.m, self.n))
        return all_[: len(self.steps)]

    def turned(self) -> Operands:
        """The transposed product of the transposed operands, the other way around."""
        def swapped(values: Any) -> Any:
            return (values[0], values[2], values[1], *values[3:])

        steps = swapped([(y, x) for x, y in self.steps])
        return Operands(
            self.n, self.m, self.k, self.sizes, swapped(self.batch), steps,
            swapped(self.offsets), not self.is_turned)


def operands(out: Layout, a: Layout, b: Layout, addend: Layout | None = None) -> Operands:
    """Look at the layouts of a product; vectors are matrices of one row or column."""
    m, k = (a.shape[-2] if a.ndim > 1 else 1), a.shape[-1]
    n = b.shape[-1] if b.ndim > 1 else 1
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    results = [out] if addend is None else [out, addend.expand(out.shape)]
    own = [
        (x.strides[len(batch)] if a.ndim > 1 else 0, x.strides[-1] if b.ndim > 1 else 0)
        for x in results]
    walk = collapse(batch, [
        out.strides[: len(batch)], _batch(a, batch), _batch(b, batch),
        *(x.strides[: len(batch)] for x in results[1:])])
    steps = (
        own[0],
        (a.strides[-2] if a.ndim > 1 else 0, a.strides[-1]),
        (b.strides[-2] if b.ndim > 1 else b.strides[-1], b.strides[-1] if b.ndim > 1 else 0),
        *own[1:])
    offsets = (out.offset, a.offset, b.offset, *(x.offset for x in results[1:]))
    return _merged(Operands(m, n, k, walk.sizes, walk.strides, steps, offsets))


def _batch(x: Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides along a batch of this shape."""
    own = x.shape[:-2]
    return (0,) * (len(shape) - len(own)) + tuple(
        0 if n == 1 else s for n, s in zip(own, x.strides, strict=False))


def _merged(p: Operands) -> Operands:
    """A batch whose matrices share b, as more rows of one matrix."""
    while p.sizes and p.batch[2][-1] == 0:
        rows = [(s[-1], step[0]) for s, step in zip(p.batch, p.steps, strict=True)]
        del rows[2]
        if p.m != 1 and any(outer != p.m * inner for outer, inner in rows):
            break
        steps = [
            step if i == 2 else (s[-1] if p.m == 1 else step[0], step[1])
            for i, (s, step) in enumerate(zip(p.batch, p.steps, strict=True))]
        p = replace(
            p, m=p.m * p.sizes[-1], sizes=p.sizes[:-1], steps=tuple(steps),
            batch=tuple(s[:-1] for s in p.batch))
    return p


def oriented(p: Operands) -> Operands:
    """The product or its transpose, whichever suits neighbours that compute neighbouring columns:
    enough columns, and those of b next to each other."""
    if p.n < 16 and p.m > p.n:
        return p.turned()
    is_better = p.steps[2][1] != 1 and p.steps[1][0] == 1
    return p.turned() if is_better and p.m >= 16 else p


# ---- choosing a division -----------------------------------------------------------------------
def tile_for(p: Operands, what: dtype, traits: Traits, has_groups: bool) -> Tile:
    """A division that suits the device and the sizes."""
    heavy = 2 if what.is_complex or what.itemsize == 8 else 1  # registers per sum
    if p.m <= 2 and p.steps[1][1] == p.steps[2][0] == 1 and p.k >= 64:  # products of rows
        if not has_groups or traits.lanes == 1:
            return Tile(1, 1, chains=16 // heavy)
        if p.m * p.n * product(p.sizes) < traits.units * traits.lanes:
            return Tile(1, 1, 1, traits.lanes, is_shared=True)
    if not has_groups:
        return Tile(min(p.m, 4 // heavy), min(p.n, 8 // heavy))
    if traits.lanes == 1:
        return _for_vectors(p, what, heavy)
    return _for_lanes(p, what, traits)


def variants(p: Operands, what: dtype, traits: Traits, has_groups: bool) -> list[Tile]:
    """Divisions among which a measurement decides, if a product is worth it; the default first."""
    default = tile_for(p, what, traits, has_groups)
    if not has_groups or 2 * p.m * p.n * p.k * product(p.sizes) < MEASURED or min(
            p.m, p.n, p.k) < 64:
        return [default]
    if traits.lanes == 1:
        others = [Tile(8, default.cols, 1, 16, 0, "b"), Tile(8, default.cols, 1, 16, 0, "ab"),
                  Tile(4, 2 * default.cols, 1, 16, 0, "b")]
        if p.steps[2][1] == 1 and panel_dtype(what) is what:
            others.append(Tile(8, default.cols, 1, 16))
    elif default.depth:
        others = [default._replace(depth=8), default._replace(rows=8),
                  default._replace(rows=8, cols=8, depth=8)]
        others = [
            t for t in others if t.height <= p.m and t.width <= p.n
            and t.depth * (t.height + t.width) * accumulated(what) <= traits.local_memory]
    else:
        others = []
    return list(dict.fromkeys([default, *others]))


def accumulated(what: dtype) -> int:
    """Bytes of an element in local memory."""
    return max(4, panel_dtype(what).itemsize)


def _for_vectors(p: Operands, what: dtype, heavy: int) -> Tile:
    """For compilers that make vectors of neighbouring items, as those for CPUs do."""
    cols = 1 if p.n <= 16 or heavy > 1 else 2
    tile = Tile(min(p.m, 8), cols, 1, 16)
    if p.m < 32 or p.n < 16:
        return tile
    is_large = p.k * p.n >= 1 << 16 and p.m >= 64
    if panel_dtype(what) is not what and is_large:
        return tile._replace(packed="ab")
    return tile._replace(packed="b") if is_large or p.steps[2][1] != 1 else tile


def _for_lanes(p: Operands, what: dtype, traits: Traits) -> Tile:
    """For GPUs: slices in local memory, if there is enough to compute."""
    across = min(16, traits.lanes)
    down = traits.lanes // across
    for block in (4, 2):
        depth = 16
        tile = Tile(block, block, down, across, depth)
        size = depth * (tile.height + tile.width) * accumulated(what)
        is_full = -(-p.m // tile.height) * -(-p.n // tile.width) * product(p.sizes) >= traits.units
        if p.m >= tile.height and p.n >= tile.width and (
                size <= traits.local_memory and (is_full or block == 2)):
            return tile
    return Tile(1, 1, down, across)


# ---- plans -------------------------------------------------------------------------------------
def marks(steps: tuple[int, int]) -> str:
    """Which strides a kernel is written for."""
    return "".join(str(s) if s in (0, 1) else "?" for s in steps)


class Planner:
    """Makes plans for one device."""

    def __init__(self, backend: GeneratedBackend, index: int) -> None:
        self.backend, self.index = backend, index
        self.traits = backend.traits(index)

    def tile(self, p: Operands, what: dtype) -> Tile:
        """The division that suits a product."""
        return tile_for(p, what, self.traits, self.backend.dialect.has_groups)

    def handle(self, spec: Any) -> Any:
        """A kernel."""
        return self.backend.program(
            spec, lambda: spec.source(self.backend.dialect), self.index)

    def product(
        self, steps: Steps, p: Operands, what: dtype, places: Sequence[int],
        is_scaled: bool = False, tile: Tile | None = None, is_packed: bool = False,
    ) -> None:
        """Add the launches of a product.

        Args:
            places: of the result, a, b and perhaps the addend, before anything was turned.
            is_scaled: whether alpha and beta are given.
            tile: the division, if it is not to be chosen.
            is_packed: whether the operands that the tile takes packed are panels already.
        """
        tile = tile or self.tile(p, what)
        register = index_register(product(p.sizes) * p.m * p.n, [
            (offset, (*p.sizes, *sizes), (*batch, *strides))
            for offset, sizes, batch, strides in zip(
                p.offsets, p.extents, p.batch, p.steps, strict=True)])
        order = list(places)
        if p.is_turned:
            order[1], order[2] = order[2], order[1]
        for name in "" if is_packed else tile.packed:
            which = 1 + "ab".index(name)
            order[which], p = self.packed(steps, p, which, order[which], what, tile, register)
        known = tuple(map(marks, p.steps))
        spec = Matmul(
            what, tile, len(p.sizes), known, (p.m < tile.height, p.n < tile.width), register,
            is_scaled)
        down, across = -(-p.m // tile.height), -(-p.n // tile.width)
        count = down * across * product(p.sizes)
        steps.add(self.handle(spec) if count else None, count, order, (
            count, p.m, p.n, p.k, down, across, *p.offsets, *p.sizes[1:],
            *(s for batch in p.batch for s in batch), *unknown(p.steps, known)))

    def teams(self, items: int, size: int) -> int:
        """How many groups to launch for teams of a size."""
        return items // size if self.backend.dialect.has_groups else items

    def packed(
        self, steps: Steps, p: Operands, which: int, place: int, what: dtype, tile: Tile,
        register: Index,
    ) -> tuple[int, Operands]:
        """Pack an operand (1 for a, 2 for b); gives the place of the panels, and the product as
        it then is."""
        width = (tile.height, tile.width)[which - 1]
        rows = (p.m, p.n)[which - 1]
        strides = p.steps[which] if which == 1 else p.steps[2][::-1]
        own = [(n, s) for n, s in zip(p.sizes, p.batch[which], strict=True) if s]
        tiles, pieces = -(-rows // width), -(-p.k // AT_A_TIME)
        panels = tiles * product(n for n, _ in own)
        spec = Pack(what, width, len(own), marks(strides), register)
        count = panels * pieces * width
        target = steps.temporary(panels * p.k * width * panel_dtype(what).itemsize)
        steps.add(self.handle(spec), self.teams(count, width), (target, place), (
            count, rows, p.k, pieces, tiles, p.offsets[which], *(n for n, _ in own[1:]),
            *(s for _, s in own), *unknown([strides], [spec.steps])))
        batch: list[int] = []
        step = tiles * p.k * width
        for n, s in reversed(list(zip(p.sizes, p.batch[which], strict=True))):
            batch.insert(0, step if s else 0)
            step *= n if s else 1
        return target, replace(
            p, batch=_with(p.batch, which, tuple(batch)), steps=_with(p.steps, which, (0, 0)),
            offsets=_with(p.offsets, which, 0))


def _with(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


def unknown(steps: Sequence[tuple[int, int]], known: Sequence[str]) -> list[int]:
    """The strides that a kernel is given."""
    return [s for pair, mark in zip(steps, known, strict=True)
            for s, c in zip(pair, mark, strict=True) if c == "?"]


class Planners(dict[int, Planner]):
    """The planner of each device."""

    def __init__(self, backend: GeneratedBackend) -> None:
        super().__init__()
        self._backend = backend

    def __missing__(self, index: int) -> Planner:
        planner = self[index] = Planner(self._backend, index)
        return planner
