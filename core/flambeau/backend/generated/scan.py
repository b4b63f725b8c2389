"""Running sums and products, extremes with their places, and logarithms of sums of exponentials."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.pointwise import PLANS_AT_MOST
from flambeau.backend.generated.reduce import (
    ARGUMENTS,
    States,
    accumulated,
    argument,
    formula,
    only,
)
from flambeau.backend.generated.split import (
    CHUNK,
    CHUNKS_AT_MOST,
    ENOUGH,
    MANY,
    Split,
    Step,
    Task,
    part_sizes,
    step_of,
)
from flambeau.codegen.kernels.indexing import (
    Walk,
    given_strides,
    in_memory_order,
    index_register,
    marks_of,
)
from flambeau.codegen.kernels.reduce import BLOCK
from flambeau.codegen.kernels.scan import Carry, Form, Scan
from flambeau.codegen.kernels.states import Exponentials
from flambeau.codegen.reduction import ArgReduction, Reduction, parse_reduction
from flambeau.dtypes import dtype
from flambeau.layout import Layout, wrap_dim

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend, Traits
    from flambeau.codegen.dialects.base import Index
    from flambeau.codegen.kernels.states import State

COLUMNS: Final = 256
"""Rows that are neighbours in memory and that a work item scans together."""


class Plan(NamedTuple):
    """What a call does, for tensors of certain layouts and dtypes."""

    steps: tuple[Step, ...]
    """The scan; or the reduction of chunks, the sums before them, and the scan."""
    parts: tuple[int, ...]
    """Bytes of the temporary buffers."""
    layouts: tuple[Layout, ...]
    outs: tuple[dtype, ...]
    nbytes: tuple[int, ...]
    kept: tuple[Layout, ...]
    """The layouts whose identities stand in the plan's key."""


class Scanner:
    """The kernels of one running reduction."""

    def __init__(self, backend: GeneratedBackend, name: str, states: States) -> None:
        self.backend, self.name, self.states = backend, name, states
        self.plans: dict[tuple[Any, ...], Plan] = {}

    def run(self, x: Strided, dim: int, outs: tuple[Strided, ...] | None = None) -> Any:
        """Scan; gives the results, new ones if there are none."""
        backend = self.backend
        index = backend.index_of(x.buffer)
        given = [(id(out.layout), out.dtype) for out in outs or ()]
        key = (id(x.layout), x.dtype, dim, index, *given)
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= PLANS_AT_MOST:
                self.plans.clear()
            made = self.plan(x, dim, outs, index)
            if made is None:
                return NotImplemented
            plan = self.plans[key] = made
        results = [out.buffer for out in outs] if outs else [
            backend.alloc(n, index) for n in plan.nbytes]
        parts = [backend.alloc(n, index) for n in plan.parts]
        for k, step in enumerate(plan.steps, 3 - len(plan.steps)):
            buffers = ([x.buffer, *parts], parts, [x.buffer, *results, *parts])[k]
            backend.launch(step.handle, step.groups, [*buffers, *step.scalars], index)
        return outs or tuple(map(Strided, results, plan.outs, plan.layouts))

    # ---- planning ----------------------------------------------------------------------------
    def plan(
        self, x: Strided, dim: int, outs: tuple[Strided, ...] | None, index: int
    ) -> Plan | None:
        """Look at the tensors, and compile."""
        layout = x.layout
        register = index_register(layout.numel, [
            (o.offset, o.shape, o.strides) for o in (layout, *(o.layout for o in outs or ()))])
        found = self.states(x.dtype, outs[0].dtype if outs else None, register)
        if found is None:
            return None
        state, types = found
        results = tuple(o.layout for o in outs) if outs else (
            Layout.contiguous(layout.shape),) * len(types)
        dim = wrap_dim(dim, layout.ndim)
        layouts = (layout, *results)
        kept = [d for d in range(layout.ndim) if d != dim]
        walk = in_memory_order(
            [layout.shape[d] for d in kept], [[t.strides[d] for d in kept] for t in layouts])
        n = layout.shape[dim] if layout.ndim else 1
        along = tuple(t.strides[dim] if layout.ndim else 0 for t in layouts)
        over = Walk((n,), (along[:1],)) if n != 1 else Walk((), ((),))
        task = Task(state, x.dtype, types, walk, over, tuple(t.offset for t in layouts), n,
                    register)
        parts: tuple[int, ...] = ()
        steps: tuple[Step, ...] = ()
        if layout.numel:
            steps, parts = self.steps(task, along, index)
        return Plan(
            steps, parts, results, types,
            tuple(r.span() * t.itemsize for r, t in zip(results, types, strict=True)), layouts)

    def steps(
        self, task: Task, along: tuple[int, ...], index: int
    ) -> tuple[tuple[Step, ...], tuple[int, ...]]:
        """One launch, or three."""
        traits, rows, name = self.backend.traits(index), prod(task.kept.sizes), self.name
        form, width, chunk = _split(task, along, traits)
        chunks = -(-task.n // chunk)
        last = self.scan(task, form, width, chunk, along, index)
        if chunks == 1:
            return (last,), ()
        split = Split("column", width, chunk, 1, 1, task.n) if form == "column" else Split(
            form, width, 1, chunks, chunk, chunks)
        if form == "column":  # whose reduction wants full strips
            fitting = 1 << (task.kept.sizes[-1].bit_length() - 1)
            split = split._replace(width=min(width, fitting))
        first = step_of(self.backend, f"{name}_chunks", task.without_outs(), split, index)
        carry = Carry(name, task.state, task.index, traits.group_size)
        handle = self.backend.program(carry, lambda: carry.source(self.backend.dialect), index)
        middle = Step(handle, -(-rows // traits.group_size), (rows, chunks))
        return (first, middle, last), part_sizes(task, chunks)

    def scan(
        self, task: Task, form: Form, width: int, chunk: int, along: tuple[int, ...], index: int
    ) -> Step:
        """Compile the scan and list its numbers."""
        rows, chunks = prod(task.kept.sizes), -(-task.n // chunk)
        columns = task.kept.sizes[-1] if form == "column" else 1
        strips = -(-columns // width) if form == "column" else 1
        share = rows // columns * strips
        traits = self.backend.traits(index)
        is_long = traits.lanes == 1 and chunk >= BLOCK  # neighbouring rows are best kept apart
        size = width if form == "group" else 1 if form == "column" or is_long else (
            traits.group_size)
        marks = tuple(marks_of(s) for s in task.kept.strides)
        steps = "".join(marks_of([s]) for s in along)
        spec = Scan(
            self.name, task.state, task.element or dtypes.float32, task.outs, form, width, marks,
            steps, chunks > 1, task.index, size)
        handle = self.backend.program(spec, lambda: spec.source(self.backend.dialect), index)
        count = share * chunks
        scalars = (
            count, share, rows, task.n, chunk, columns, strips, *task.offsets,
            *task.kept.sizes[1:], *given_strides(task.kept.strides, marks),
            *(s for s, mark in zip(along, steps, strict=True) if mark == "?"))
        return Step(handle, count if form == "group" else -(-count // size), scalars)


def _split(task: Task, along: tuple[int, ...], traits: Traits) -> tuple[Form, int, int]:
    """The form, its width, and how many elements a chunk has."""
    rows, n = prod(task.kept.sizes), task.n
    side_by_side = bool(task.kept.sizes) and task.kept.strides[0][-1] == 1 and along[0] != 1
    form: Form = "row"
    width, items = 1, rows
    if side_by_side and traits.lanes == 1:
        form, columns = "column", task.kept.sizes[-1]
        width = min(COLUMNS, columns)
        items = rows // columns * -(-columns // width)
    elif traits.lanes > 1 and not side_by_side and n >= BLOCK:
        form, width = "group", traits.lanes
    enough = MANY if side_by_side and traits.lanes > 1 else ENOUGH
    least = 2 * BLOCK if side_by_side else CHUNK
    if items >= enough or n < 2 * least:
        return form, width, max(1, n)
    return form, width, max(least, CHUNK // width, -(-n // CHUNKS_AT_MOST))


# ---- which scans ---------------------------------------------------------------------------------
def table(backend: GeneratedBackend) -> KernelTable:
    """cumsum, and fused kernels of composites."""
    result = KernelTable()
    total = Scanner(backend, "cumsum", formula(Reduction("0", "acc + x"), accumulated))
    product = Scanner(backend, "cumprod", formula(Reduction("1", "acc * x"), accumulated))
    logarithm = Scanner(backend, "logcumsumexp", _exponentials)

    @result.register("cumsum", fresh=lambda x, dim: only(total.run(x, dim)))
    def cumsum(out: Strided, x: Strided, dim: int) -> None:
        total.run(x, dim, (out,))

    @result.register_fresh("cumprod")
    def cumprod(x: Strided, dim: int, dtype: Any) -> Any:
        return NotImplemented if dtype is not None else only(product.run(x, dim))

    result.fresh["logcumsumexp"] = lambda x, dim: only(logarithm.run(x, dim))
    for name, extreme in (("cummax_along", "argmax"), ("cummin_along", "argmin")):
        parsed = parse_reduction(ARGUMENTS[extreme])
        assert isinstance(parsed, ArgReduction)
        result.fresh[name] = Scanner(backend, name, argument(parsed, True, True)).run
    return result


def _exponentials(
    element: dtype, out: dtype | None, index: Index
) -> tuple[State, tuple[dtype, ...]] | None:
    """Of real floating values."""
    if element.category != 2:
        return None
    return Exponentials("f64" if element is dtypes.float64 else "f32"), (element,)
