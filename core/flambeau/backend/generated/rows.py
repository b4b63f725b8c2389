"""Launching fused kernels over rows: layouts are looked at once, and a plan is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from flambeau import dtypes
from flambeau.backend import Strided
from flambeau.codegen.dialects.base import Index, Register
from flambeau.codegen.kernels.indexing import Walk, in_memory_order, index_register, marks_of
from flambeau.codegen.kernels.rows import Operand, Reduce, Rows, Step, Store
from flambeau.dtypes import dtype
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend, Traits

PLANS_AT_MOST: Final = 4096
"""Then all are forgotten."""
TILE: Final = 64
"""Neighbouring rows that an item works on: their partial results stay in the nearest cache."""
VECTOR_BYTES: Final = 64
"""Of the partial results that an item keeps at once: the widest vector registers."""
LOCAL_BYTES: Final = 4096
"""Of a group's memory that the trees of a vector's lanes need at most."""
UNITS_OF_ROWS: Final = 4
"""Neighbouring rows are worked on by an item each if there are as many per unit of the device,
times its lanes."""

Describe: TypeAlias = "Callable[[], Work]"


class Part(NamedTuple):
    """A tensor, or a part of one, as rows of columns.

    Attributes:
        buffer: its number among the natives given and the results.
        outer, inner: strides along the dimensions of rows and of columns.
    """

    name: str
    buffer: int
    offset: int
    outer: tuple[int, ...]
    inner: tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """What a fused kernel does, for arguments of certain layouts and dtypes.

    Attributes:
        parts: what the steps name; the first decides in which order memory is walked.
        outer, inner: sizes of the dimensions of rows and of columns.
        results: dtype and layout of new tensors.
        numbers: names and register types of the numbers that a call gives.
        written: the natives that are written in place, by their numbers.
    """

    parts: Sequence[Part]
    outer: Sequence[int]
    inner: Sequence[int]
    steps: tuple[Step, ...]
    results: Sequence[tuple[dtype, Layout]] = ()
    numbers: tuple[tuple[str, Register], ...] = ()
    written: tuple[int, ...] = ()
    integer: Register = "i32"
    floating: Register = "f32"

    @property
    def has_columns(self) -> bool:
        """Whether a step visits all columns; else at most some are picked."""
        return any(isinstance(step, (Reduce, Store)) for step in self.steps)


class Plan(NamedTuple):
    """What a call does."""

    handle: Any
    groups: int
    scalars: tuple[int, ...]
    results: tuple[tuple[dtype, Layout, int], ...]
    kept: tuple[Any, ...]
    """The layouts whose identities stand in the plan's key."""


class RowKernels:
    """The fused kernels of one backend, as they are needed."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def run(
        self, name: str, variant: Any, natives: Sequence[Strided], numbers: Sequence[float],
        describe: Describe,
    ) -> tuple[Strided, ...]:
        """Launch a kernel.

        Args:
            name: of the op, or of a part of it.
            variant: what the work depends on besides layouts and dtypes.
            natives: tensors that are read, or written in place.
            describe: makes the work, when layouts are met first.

        Returns:
            The new tensors.
        """
        backend = self.backend
        index = backend.index_of(natives[0].buffer)
        key: tuple[Any, ...] = (name, variant, index, *[
            part for x in natives for part in (id(x.layout), x.dtype)])
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= PLANS_AT_MOST:
                self.plans.clear()
            plan = self.plans[key] = self.plan(name, describe(), natives, index)
        results = tuple([
            Strided(backend.alloc(nbytes, index), what, layout)
            for what, layout, nbytes in plan.results])
        if plan.groups:
            backend.launch(plan.handle, plan.groups, [
                *[x.buffer for x in natives], *[x.buffer for x in results], *plan.scalars,
                *numbers], index)
        return results

    def plan(self, name: str, work: Work, natives: Sequence[Strided], index: int) -> Plan:
        """Choose a kernel, and its arguments but buffers and numbers."""
        results = tuple((d, o, o.span() * d.itemsize) for d, o in work.results)
        kept = tuple(x.layout for x in natives)
        rows = product(work.outer)
        if not rows or not (work.written or any(nbytes for *_, nbytes in results)):
            return Plan(None, 0, (), results, kept)
        outer, inner = _walks(work)
        spec = self.spec(name, work, natives, outer, inner, self.backend.traits(index))
        handle = self.backend.program(spec, lambda: spec.source(self.backend.dialect), index)
        count, sizes = rows, outer.sizes
        last: tuple[int, ...] = ()
        if spec.tile > 1:
            tiles = -(-sizes[-1] // spec.tile)
            count, last = rows // sizes[-1] * tiles, (sizes[-1],)
            sizes = (*sizes[:-1], tiles)
        strides = [
            stride for o, along_outer, along_inner in zip(
                spec.operands, outer.strides, inner.strides, strict=True)
            for marks, steps in ((o.outer, along_outer), (o.inner, along_inner))
            for mark, stride in zip(marks, steps, strict=True) if mark == "?"]
        per_group = spec.rows_per_group if spec.lanes > 1 else spec.group_size
        return Plan(
            handle, -(-count // per_group),
            (count, *(p.offset for p in work.parts), *sizes[1:], *last, *inner.sizes, *strides),
            results, kept)

    def spec(
        self, name: str, work: Work, natives: Sequence[Strided], outer: Walk, inner: Walk,
        traits: Traits,
    ) -> Rows:
        """The kernel that fits the device and the strides."""
        index: Index = index_register(product(work.outer), [
            (p.offset, (*outer.sizes, *inner.sizes), (*o, *i))
            for p, o, i in zip(work.parts, outer.strides, inner.strides, strict=True)])
        buffers = [
            *((f"in_{n}", x.dtype, n in work.written) for n, x in enumerate(natives)),
            *((f"out_{n}", d, True) for n, (d, _) in enumerate(work.results))]
        operands = tuple(
            Operand(p.name, p.buffer, marks_of(o), marks_of(i))
            for p, o, i in zip(work.parts, outer.strides, inner.strides, strict=True))
        return Rows(
            name, tuple(buffers), operands, work.steps, work.numbers, work.floating, work.integer,
            index, outer_ndim=len(outer.sizes), inner_ndim=len(inner.sizes),
            **self.shape(work, outer, inner, traits))

    def shape(self, work: Work, outer: Walk, inner: Walk, traits: Traits) -> dict[str, Any]:
        """How the work is laid out."""
        if not work.has_columns:
            return {"group_size": traits.group_size}
        first_outer, first_inner = outer.strides[0], inner.strides[0]
        rows, columns = product(outer.sizes), product(inner.sizes)
        neighbours = outer.sizes[-1] if first_outer and first_outer[-1] == 1 else 0
        if first_inner[-1] == 1:
            neighbours = 0
        most = traits.lanes
        if most == 1:
            vector = VECTOR_BYTES // (8 if work.floating == "f64" else 4)
            if not self.backend.dialect.has_groups:
                return {"group_size": 1, "tile": TILE} if neighbours > 1 else (
                    {"group_size": 1, "unroll": vector})
            if neighbours > 1:
                return {"group_size": traits.group_size}
            if traits.local_memory < LOCAL_BYTES:
                return {"group_size": 1, "unroll": vector}
            most = vector  # a CPU makes vectors of the items of a group
        lanes = _power(min(most, columns))
        if neighbours > 1:
            wanted = UNITS_OF_ROWS * traits.units * most
            while lanes > 1 and rows * lanes > wanted:
                lanes //= 2
            lanes = max(lanes, most // _power(neighbours))
        if lanes == 1:
            return {"group_size": traits.group_size}
        several = lanes < most and traits.group_size % lanes == 0
        return {
            "group_size": traits.group_size if several else most, "lanes": lanes,
            "rows_inner": neighbours > 1,
            "is_flat": len(inner.sizes) > 1 and inner.sizes[-1] < lanes}


def _power(n: int) -> int:
    """The least power of 2 that is not below."""
    return 1 << max(n - 1, 0).bit_length()


def _walks(work: Work) -> tuple[Walk, Walk]:
    """The dimensions of rows and of columns, as few as can be; columns have one at least."""
    outer = in_memory_order(work.outer, [p.outer for p in work.parts])
    along = [p.inner for p in work.parts]
    inner = in_memory_order(work.inner, along) if work.has_columns else (
        Walk(tuple(work.inner), tuple(along)))
    if work.has_columns and not inner.sizes:
        return outer, Walk((1,), tuple((0,) for _ in work.parts))
    return outer, inner


# ---- for the families ----------------------------------------------------------------------------
def split(
    name: str, buffer: int, layout: Layout, outer: Sequence[int], inner: Sequence[int]
) -> Part:
    """A tensor whose dimensions are numbered as rows' and columns'."""
    strides = layout.strides
    return Part(name, buffer, layout.offset, tuple(strides[d] for d in outer),
                tuple(strides[d] for d in inner))


def floating_of(*tensors: Strided | None) -> Register | None:
    """What floating tensors are computed in; None if they do not belong together."""
    found = {x.dtype for x in tensors if x is not None}
    if found == {dtypes.float64}:
        return "f64"
    narrow = {dtypes.float16, dtypes.bfloat16, dtypes.float32}
    return "f32" if found and found <= narrow else None


def like(x: Layout) -> Layout:
    """A new result's layout: dense in the memory order of an input that is dense itself."""
    if x.is_contiguous or not x.is_dense():
        return Layout.contiguous(x.shape)
    return Layout.of(x.shape, x.strides)
